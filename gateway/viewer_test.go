package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// viewer is a client that came over the API's port: its words are short, and in
// frames.
type viewer struct {
	net.Conn
	in   *bufio.Reader
	left int    // of a frame
	code int    // of the close frame
	why  string // likewise
}

// serve joins a viewer to an attachment.
func (r *rig) serve(a *Attachment) *viewer {
	r.t.Helper()
	return r.serveLeg(a, 0)
}

// serveLeg joins one that is pinged.
func (r *rig) serveLeg(a *Attachment, ping time.Duration) *viewer {
	r.t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close()
	far, err := dialFrom("127.0.0.1", l.Addr().(*net.TCPAddr).AddrPort(), patience)
	if err != nil {
		r.t.Fatal(err)
	}
	near, err := l.AcceptTCP()
	if err != nil {
		r.t.Fatal(err)
	}
	a.Serve(Leg{Conn: near, TCP: near, Ping: ping})
	r.t.Cleanup(func() { far.Close() })
	return &viewer{Conn: far, in: bufio.NewReader(far)}
}

func (r *rig) attach(token Secret, client string) *viewer {
	r.t.Helper()
	a, err := r.Attach(context.Background(), token, netip.MustParseAddr(client))
	if err != nil {
		r.t.Fatalf("attach: %v", err)
	}
	return r.serve(a)
}

// Write sends p as one frame, whose mask is zero.
func (v *viewer) Write(p []byte) (int, error) {
	frame := append([]byte{0x82, 0x80 | byte(len(p)), 0, 0, 0, 0}, p...)
	if _, err := v.Conn.Write(frame); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Read reads what frames carry; the end is a close frame.
func (v *viewer) Read(p []byte) (int, error) {
	for v.left == 0 {
		var head [2]byte
		if _, err := io.ReadFull(v.in, head[:]); err != nil {
			return 0, err
		}
		v.left = int(head[1])
		if head[0] != 0x82 {
			word := make([]byte, v.left)
			if _, err := io.ReadFull(v.in, word); err != nil {
				return 0, err
			}
			v.code, v.why = int(binary.BigEndian.Uint16(word)), string(word[2:])
			return 0, io.EOF
		}
	}
	n, err := v.in.Read(p[:min(len(p), v.left)])
	v.left -= n
	return n, err
}

// told wants the close frame, soon.
func (v *viewer) told(t testing.TB, code int, why relay.Reason) {
	t.Helper()
	_ = v.SetReadDeadline(time.Now().Add(prompt))
	_, err := io.Copy(io.Discard, v)
	if err != nil || v.code != code || v.why != string(why) {
		t.Errorf("got %d %q (%v), want the close frame %d %q", v.code, v.why, err, code, why)
	}
}
