package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/tests/node"
)

func TestHalfCloseLosesNothing(t *testing.T) {
	p := newPlace(t, node.Config{})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	tunnel := open(t, p.node.Client(p.client), v.addr)
	c := enter(t, p.client, tunnel)
	want := noise(8 << 20)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		sent <- errors.Join(err, c.CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("echoed: got %d bytes and %v, want all %d and the end of the stream", len(got), err, len(want))
	}
	if err := <-sent; err != nil {
		t.Errorf("send: got %v, want nil", err)
	}
	line := closedFor(t, p.node, tunnel)
	wantIn(t, line, "reason=client_closed")
	wantBytes(t, line, "bytes_up", len(want))
	wantBytes(t, line, "bytes_down", len(want))
}

// wantBytes checks what a line says was moved. What the kernel says of a stream that was
// half closed is a limit that is known: docs/forwarding.md.
func wantBytes(t *testing.T, line, field string, want int) {
	t.Helper()
	if node.Kernel() {
		return
	}
	_, after, _ := strings.Cut(line, field+"=")
	text, _, _ := strings.Cut(after, " ")
	got, err := strconv.Atoi(text)
	if err != nil || got != want {
		t.Errorf("log: got %s=%q, want %d", field, text, want)
	}
}

// streamBytes are sent each way by exchange: enough to fill every buffer on
// the way.
const streamBytes = 1 << 20

func TestTwoHundredTunnelsAtOnce(t *testing.T) {
	p := newPlace(t, node.Config{})
	var wrong atomic.Int64
	v := serve(t, p.vmHost, vmAddr+":7000", func(c *net.TCPConn) {
		if err := answer(c); err != nil && !errors.Is(err, errProbe) {
			wrong.Add(1)
		}
	})
	const each = 100 // all ports of the range, for each of two addresses
	conns := make([]*net.TCPConn, 0, 2*each)
	for _, from := range []string{clientAddr, secondAddr} {
		client := p.node.Client(p.client, addrOf(from))
		for range each {
			conns = append(conns, enter(t, p.client, open(t, client, v.addr)))
		}
	}
	var all errgroup.Group
	for i, c := range conns {
		all.Go(func() error { return exchange(c, i) })
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	if n := wrong.Load(); n > 0 {
		t.Errorf("got %d VMs that received something else than was sent, want none", n)
	}
	if _, err := p.node.Client(p.client).Open(t.Context(), node.OpenRequest{VMAddress: vmAddr, VMPort: 7000}); node.Code(err) != "NO_FREE_PORT" {
		t.Errorf("one more for the same address: got %v, want NO_FREE_PORT", err)
	}
}

// exchange sends a stream of its own to an answering VM and checks the one
// that comes back meanwhile.
func exchange(c *net.TCPConn, number int) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	key := [32]byte{1, byte(number), byte(number >> 8)}
	var both errgroup.Group
	both.Go(func() error {
		if _, err := c.Write(key[:]); err != nil {
			return err
		}
		return errors.Join(send(c, key), c.CloseWrite())
	})
	both.Go(func() error { return receive(c, reverse(key)) })
	if err := both.Wait(); err != nil {
		return fmt.Errorf("tunnel %d: %w", number, err)
	}
	return nil
}

// errProbe is the end of a connection that the node made to see whether the VM
// is there.
var errProbe = errors.New("nothing was sent")

// answer is the VM's side of exchange.
func answer(c *net.TCPConn) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	var key [32]byte
	if _, err := io.ReadFull(c, key[:]); errors.Is(err, io.EOF) {
		return errProbe
	} else if err != nil {
		return err
	}
	var both errgroup.Group
	both.Go(func() error { return errors.Join(send(c, reverse(key)), c.CloseWrite()) })
	both.Go(func() error { return receive(c, key) })
	return both.Wait()
}

// reverse is the key of the stream that answers the one of key.
func reverse(key [32]byte) [32]byte {
	key[31] = 0xff
	return key
}

func send(c net.Conn, key [32]byte) error {
	_, err := io.CopyN(c, rand.NewChaCha8(key), streamBytes)
	return err
}

// receive wants exactly the stream of key, then its end.
func receive(c net.Conn, key [32]byte) error {
	want, got := make([]byte, 32<<10), make([]byte, 32<<10)
	source := rand.NewChaCha8(key)
	for at := 0; at < streamBytes; at += len(want) {
		_, _ = source.Read(want)
		if _, err := io.ReadFull(c, got); err != nil {
			return fmt.Errorf("after %d bytes: %w", at, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("after %d bytes: other bytes than were sent", at)
		}
	}
	if n, err := c.Read(got); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("after the last byte: %d more and %w, want the end", n, err)
	}
	return nil
}

func TestOpenThenConnectIsNeverRefused(t *testing.T) {
	p := newPlace(t, node.Config{})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	const times, workers = 1000, 4
	var all errgroup.Group
	for w := range workers {
		client := p.node.Client(p.client, addrOf([]string{clientAddr, secondAddr}[w%2]))
		defer client.Close()
		all.Go(func() error {
			for i := range times / workers {
				if err := openAndUse(t, p, client, v.addr); err != nil {
					return fmt.Errorf("worker %d, attempt %d: %w", w, i, err)
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	if list, err := p.node.Dispatcher().Connections(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("afterwards: got %d connections and %v, want none", len(list), err)
	}
}

// openAndUse connects in the instant the answer was read.
func openAndUse(t *testing.T, p *place, client *node.Client, vm netip.AddrPort) error {
	tunnel, err := client.Open(t.Context(), node.OpenRequest{VMAddress: vm.Addr().String(), VMPort: int(vm.Port())})
	if err != nil {
		return err
	}
	c, err := p.client.Dial(addrOf(tunnel.ClientAddr), tunnel.Addr(), patience)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if err := echoes(c); err != nil {
		return err
	}
	return client.GiveBack(t.Context(), tunnel)
}
