package relay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// loopback is any port of the loopback.
func loopback() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:0") }

// echoVM is a VM that sends back what it gets.
func echoVM(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// nobody is an address that refuses connections.
func nobody(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// listen opens a door that sends everybody where call says.
func listen(t testing.TB, e *relay.Engine, call func() *relay.Call) relay.Door {
	t.Helper()
	d, err := e.Listen(loopback(), relay.DoorOptions{
		Knock: func(relay.Visitor, relay.Pair) *relay.Call { return call() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func enter(t testing.TB, d relay.Door) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(3 * patience))
	return c.(*net.TCPConn)
}

func TestDoorDialsAndJoins(t *testing.T) {
	e, vm := running(t), echoVM(t)
	var joined atomic.Int32
	ended := make(chan relay.Result, 1)
	d := listen(t, e, func() *relay.Call {
		return &relay.Call{
			To: []netip.AddrPort{nobody(t), vm}, Prelude: []byte("to begin with, "),
			Joined:  func() { joined.Add(1) },
			Options: relay.Options{OnEnd: func(r relay.Result) { ended <- r }},
		}
	})
	c := enter(t, d)
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	got, err := io.ReadAll(c)
	if want := "to begin with, hello"; string(got) != want || err != nil {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
	if r := <-ended; r.Err != nil || r.Reason != relay.ClientClosed || r.Up != 5 || r.Down != 20 {
		t.Errorf("got %+v, want 5 bytes of the client, 20 of the VM, client_closed", r)
	}
	if got := joined.Load(); got != 1 {
		t.Errorf("got told %d times of the joining, want once", got)
	}
}

func TestDoorRefuses(t *testing.T) {
	d := listen(t, running(t), func() *relay.Call { return nil })
	c, err := net.Dial("tcp", d.Addr().String())
	if err == nil {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
}

// Whom the engine does not admit no door is asked about.
func TestDoorsAskWhoMayComeIn(t *testing.T) {
	for name, e := range map[string]*relay.Engine{"loops": relay.New(), "copying": relay.NewCopying()} {
		t.Run(name, func(t *testing.T) {
			friend, vm := netip.MustParseAddr("127.0.0.2"), echoVM(t)
			e.Admit = func(client netip.Addr) bool { return client == friend }
			run(t, e)
			var knocks atomic.Int32
			d := listen(t, e, func() *relay.Call {
				knocks.Add(1)
				return &relay.Call{To: []netip.AddrPort{vm}}
			})
			for from, want := range map[string]bool{"127.0.0.2": true, "127.0.0.3": false} {
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				c, err := dialer.Dial("tcp", d.Addr().String())
				if err == nil {
					_ = c.SetDeadline(time.Now().Add(patience))
					_, _ = io.WriteString(c, "x")
					_, err = c.Read(make([]byte, 1))
					c.Close()
				}
				if (err == nil) != want {
					t.Errorf("%s: got %v, want an echo: %t", from, err, want)
				}
			}
			if got := knocks.Load(); got != 1 {
				t.Errorf("got %d knocks, want 1", got)
			}
		})
	}
}

func TestDoorWhoseVMIsAway(t *testing.T) {
	e := running(t)
	ended, missed := make(chan relay.Result, 1), make(chan netip.AddrPort, 2)
	to := []netip.AddrPort{nobody(t), nobody(t)}
	d := listen(t, e, func() *relay.Call {
		return &relay.Call{
			To: to, Missed: func(a netip.AddrPort, _ error) { missed <- a },
			Joined:  func() { t.Error("joined to nobody") },
			Options: relay.Options{OnEnd: func(r relay.Result) { ended <- r }},
		}
	})
	c, err := net.Dial("tcp", d.Addr().String())
	if err == nil {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !isReset(err) {
		t.Errorf("got %v at the client, want a reset", err)
	}
	if r := <-ended; !errors.Is(r.Err, syscall.ECONNREFUSED) {
		t.Errorf("got %+v, want connection refused", r)
	}
	for _, want := range to {
		if got := <-missed; got != want {
			t.Errorf("got %s missed, want %s", got, want)
		}
	}
	eventually(t, "no pair left", func() bool { return e.Len() == 0 })
}

// silence is an address that answers no SYN: a listener whose queue is full.
func silence(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*syscall.SockaddrInet4).Port))
	for range 4 { // until the queue is full
		c, err := net.DialTimeout("tcp", to.String(), 50*time.Millisecond)
		if err != nil {
			return to
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue of a listener does not fill")
	return to
}

func TestDoorTiresOfASilentVM(t *testing.T) {
	ended := make(chan relay.Result, 1)
	to := []netip.AddrPort{silence(t)}
	d := listen(t, running(t), func() *relay.Call {
		return &relay.Call{To: to, Timeout: 100 * time.Millisecond, Options: relay.Options{OnEnd: func(r relay.Result) { ended <- r }}}
	})
	enter(t, d)
	select {
	case r := <-ended:
		if !errors.Is(r.Err, os.ErrDeadlineExceeded) && !errors.Is(r.Err, context.DeadlineExceeded) {
			t.Errorf("got %+v, want a deadline exceeded", r)
		}
	case <-time.After(patience):
		t.Fatal("the dial was not given up")
	}
}

func TestDialThatIsKilled(t *testing.T) {
	e := running(t)
	ended, pairs := make(chan relay.Result, 1), make(chan relay.Pair, 1)
	to := []netip.AddrPort{silence(t)}
	d, err := e.Listen(loopback(), relay.DoorOptions{Knock: func(_ relay.Visitor, p relay.Pair) *relay.Call {
		pairs <- p
		return &relay.Call{To: to, Options: relay.Options{OnEnd: func(r relay.Result) { ended <- r }}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := enter(t, d)
	(<-pairs).Kill("admin")
	if r := <-ended; r.Reason != "admin" || !errors.Is(r.Err, relay.ErrKilled) {
		t.Errorf("got %+v, want killed by admin", r)
	}
	if _, err := c.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("got %v at the client, want a reset", err)
	}
}

func TestClosedDoorFreesItsAddress(t *testing.T) {
	e, vm := running(t), echoVM(t)
	d := listen(t, e, func() *relay.Call { return &relay.Call{To: []netip.AddrPort{vm}} })
	c := enter(t, d)
	pass(t, c, c, "before")
	for range 50 {
		d.Close()
		d.Close() // twice does no harm
		again, err := e.Listen(d.Addr(), relay.DoorOptions{Knock: func(relay.Visitor, relay.Pair) *relay.Call { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		d = again
	}
	d.Close()
	pass(t, c, c, "after")
	if _, err := net.Dial("tcp", d.Addr().String()); err == nil {
		t.Error("a closed door lets somebody in")
	}
}

func TestManyClientsOfOneDoor(t *testing.T) {
	e, vm := running(t), echoVM(t)
	d := listen(t, e, func() *relay.Call { return &relay.Call{To: []netip.AddrPort{vm}} })
	var idle []*net.TCPConn
	for range 1000 {
		idle = append(idle, enter(t, d))
	}
	var all sync.WaitGroup
	for _, c := range idle { // all wake up at once
		all.Go(func() {
			if _, err := io.WriteString(c, "hello"); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
