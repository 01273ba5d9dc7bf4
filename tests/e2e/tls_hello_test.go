//go:build e2e

package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// helloOf is what a client of TLS says first.
func helloOf(t *testing.T, newest uint16) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() { _ = tls.Client(near, &tls.Config{ServerName: "gate", MaxVersion: newest}).Handshake() }() //nolint:gosec // only its first words are wanted
	return record(t, far)
}

// record reads a record of TLS with its head.
func record(t *testing.T, c net.Conn) []byte {
	t.Helper()
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// Places in a record with a hello: RFC 5246 section 7.4.1.
const (
	recordHead    = 5
	sessionLength = recordHead + 4 + 2 + 32 // after the heads, the version, and 32 random bytes
)

// A client that would rather have its data compressed is answered that it is not.
// Today's openssl, and with it sslscan, cannot ask any more.
func TestTLSNeverCompresses(t *testing.T) {
	p := newPlace(t, node.Config{Settings: node.Settings{"ssl": true}})
	hello := helloOf(t, tls.VersionTLS12)
	suites := sessionLength + 1 + int(hello[sessionLength])
	methods := suites + 2 + int(binary.BigEndian.Uint16(hello[suites:]))
	if !bytes.Equal(hello[methods:methods+2], []byte{1, 0}) {
		t.Fatalf("methods in the hello of a client: got %v, want none alone", hello[methods:methods+2])
	}
	const deflate, none = 1, 0
	asking := append(append(bytes.Clone(hello[:methods]), 2, deflate, none), hello[methods+2:]...)
	binary.BigEndian.PutUint16(asking[3:], uint16(len(asking)-recordHead))
	binary.BigEndian.PutUint16(asking[recordHead+2:], uint16(len(asking)-recordHead-4))
	for _, at := range []netip.AddrPort{p.apiAt(), p.statsAt()} {
		c, err := p.client.Dial(netip.Addr{}, at, quick)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(quick))
		if _, err := c.Write(asking); err != nil {
			t.Fatal(err)
		}
		answer := record(t, c)
		const handshake, serverHello = 22, 2
		if answer[0] != handshake || answer[recordHead] != serverHello {
			t.Fatalf("%s: got %v, want the hello of a server", at, answer[:recordHead+1])
		}
		method := sessionLength + 1 + int(answer[sessionLength]) + 2 // after the suite
		if answer[method] != none {
			t.Errorf("%s: got compression %d, want none", at, answer[method])
		}
	}
}
