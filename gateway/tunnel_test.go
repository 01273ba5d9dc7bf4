package gateway

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

func TestOpenThenConnectAtOnce(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	for i := range 1000 {
		g := r.granted(fmt.Sprintf("127.0.1.%d", 1+i%20), vm.addr)
		c, err := dialFrom(g.Client.String(), netip.AddrPortFrom(r.addr, g.Port), patience)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		says(t, c, "hello")
		c.Close()
		if i%2 == 0 {
			if err := r.GiveBack(t.Context(), g.ID, g.Token, g.Client); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "every session told of", func() bool { return r.audit.count(EventClose) == 1000 })
	if got := r.audit.count(EventOpen); got != 1000 {
		t.Errorf("got %d opens, want 1000", got)
	}
}

func TestSessionIsAuditedOnceWithItsBytes(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, as("ada"), func(q *OpenRequest) { q.Protocol, q.VMID = "vnc", "vm-7" })
	c := r.enter(g)
	says(t, c, "hello")
	says(t, c, "and more")
	eventually(t, "live counters", func() bool {
		now, _ := r.the(g.ID)
		return now.State == StateActive && now.BytesUp == 13 && now.BytesDown == 13 && now.Channels == 1 &&
			!now.ConnectedAt.IsZero() && !now.LastActivity.IsZero()
	})
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := endsWithin(t, c, patience); err != nil {
		t.Fatal(err)
	}
	e := r.audit.closed(t, g.ID, relay.ClientClosed)
	if e.BytesUp != 13 || e.BytesDown != 13 || e.Duration <= 0 || e.At.IsZero() {
		t.Errorf("got %+v, want 13 bytes each way and a duration", e)
	}
	want := Event{
		Kind: EventOpen, ID: g.ID, Node: r.addr, User: "ada", VMID: "vm-7", VMAddr: "127.0.0.1", VMPort: vm.addr.Port(),
		Protocol: "vnc", Client: netip.MustParseAddr("127.0.0.5"), Port: g.Port, Mode: ModePort,
	}
	eventually(t, "the session is told", func() bool { return len(r.audit.of(g.ID)) > 0 })
	got := r.audit.of(g.ID)[0]
	got.At = time.Time{}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	now, ok := r.the(g.ID)
	if !ok || now.State != StateGranted || now.Channels != 0 || now.BytesUp != 13 || now.BytesDown != 13 {
		t.Errorf("got %+v after the session, want the grant still there with its bytes", now)
	}
}

func TestTwoClientsShareOnePort(t *testing.T) {
	r := newRig(t)
	one := newMachine(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "one") })
	two := newMachine(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "two") })
	a, b := r.granted("127.0.0.5", one.addr), r.granted("127.0.0.6", two.addr)
	if a.Port != b.Port || a.Port != r.cfg.PortStart {
		t.Fatalf("got ports %d and %d, want the lowest, %d, for both", a.Port, b.Port, r.cfg.PortStart)
	}
	for want, g := range map[string]Grant{"one": a, "two": b} {
		got := make([]byte, 3)
		if _, err := io.ReadFull(r.enter(g), got); err != nil || string(got) != want {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
}

// shuttle sends size random bytes through a tunnel to an echo machine and
// compares checksums.
func shuttle(c *net.TCPConn, seed byte, size int64) error {
	sent, got := sha256.New(), sha256.New()
	down := make(chan error, 1)
	go func() {
		_, err := io.Copy(got, c)
		down <- err
	}()
	src := io.LimitReader(rand.NewChaCha8([32]byte{seed}), size)
	if _, err := io.Copy(io.MultiWriter(c, sent), src); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if err := <-down; err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		return errors.New("other bytes came back than were sent")
	}
	return nil
}

func Test200TunnelsAtOnce(t *testing.T) {
	const tunnels, size = 200, 256 << 10
	r, vm := newRig(t), newEcho(t)
	var all sync.WaitGroup
	errs := make(chan error, tunnels)
	for i := range tunnels {
		g := r.granted(fmt.Sprintf("127.0.2.%d", 1+i%50), vm.addr)
		c := r.enter(g)
		all.Go(func() { errs <- shuttle(c, byte(i), size) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	eventually(t, "every session told of", func() bool { return r.audit.count(EventClose) == tunnels })
	r.audit.mu.Lock()
	defer r.audit.mu.Unlock()
	for _, e := range r.audit.events {
		if e.Kind == EventClose && (e.BytesUp != size || e.BytesDown != size) {
			t.Errorf("got %d up and %d down, want %d each", e.BytesUp, e.BytesDown, size)
		}
	}
}

func TestEightMegabytesAndHalfClose(t *testing.T) {
	const size = 8 << 20
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	if err := shuttle(r.enter(g), 1, size); err != nil {
		t.Fatal(err)
	}
	if e := r.audit.closed(t, g.ID, relay.ClientClosed); e.BytesUp != size || e.BytesDown != size {
		t.Errorf("got %d up and %d down, want %d each", e.BytesUp, e.BytesDown, size)
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on this machine's loopback: ", err)
	}
	l.Close()
	one := netip.MustParseAddr("::1")
	r := startRig(t, one, configFor(one, func(c *Config) {
		c.PortStart, c.PortStop = freeRange(t, one, 4)
		c.Targets.Allow = append(c.Targets.Allow, Target{Prefix: netip.PrefixFrom(one, 128)})
	}), Deps{})
	vm := newEcho(t)
	g := r.granted("::1", vm.addr)
	c, err := dialFrom("::1", netip.AddrPortFrom(one, g.Port), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	says(t, c, "six to four")
	other := r.granted("2001:db8::5", vm.addr) // not ::1, so ::1 is a stranger there
	if other.Port != g.Port {
		t.Fatalf("got port %d, want the same as for the other client, %d", other.Port, g.Port)
	}
	if err := r.GiveBack(t.Context(), g.ID, g.Token, one); err != nil {
		t.Fatal(err)
	}
	if c, err := dialFrom("::1", netip.AddrPortFrom(one, other.Port), time.Second); err == nil {
		c.Close()
		t.Error("a stranger got a connection")
	}
}

// freeRange finds n ports in a row that nobody has bound on addr.
func freeRange(t testing.TB, addr netip.Addr, n uint16) (first, last uint16) {
	t.Helper()
	for first = 21000; first < 29000; first += n {
		if !slices.ContainsFunc(ports16(first, n), func(p uint16) bool { return !bindable(netip.AddrPortFrom(addr, p)) }) {
			return first, first + n - 1
		}
	}
	t.Fatal("no free ports")
	return 0, 0
}

func ports16(first, n uint16) []uint16 {
	var list []uint16
	for i := range n {
		list = append(list, first+i)
	}
	return list
}

func bindable(a netip.AddrPort) bool {
	l, err := net.Listen("tcp", a.String())
	if err != nil {
		return false
	}
	return l.Close() == nil
}
