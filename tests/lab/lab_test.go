package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m.Run)) }

const patience = 10 * time.Second

// echoHost is a host whose port 7 sends back what it gets.
func echoHost(t *testing.T, n *Network) *Host {
	t.Helper()
	h := n.Host("echo", "10.99.0.20/24", "fd99::20/64")
	for _, a := range h.addrs {
		if a.Is6() && !IPv6() {
			continue
		}
		l, err := h.Listen(netip.AddrPortFrom(a, 7).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { defer func() { _ = c.Close() }(); _, _ = io.Copy(c, c) }()
			}
		}()
	}
	return h
}

func dial(t *testing.T, h *Host, addr netip.Addr) *net.TCPConn {
	t.Helper()
	c, err := h.Dial(netip.Addr{}, netip.AddrPortFrom(addr, 7), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

func echoes(c net.Conn) error {
	got := make([]byte, 5)
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, got)
	return err
}

func TestHostsReachEachOther(t *testing.T) {
	n := New(t)
	echo, h := echoHost(t, n), n.Host("client", "10.99.0.10/24", "fd99::10/64")
	addrs := []netip.Addr{echo.Addr()}
	if IPv6() {
		addrs = append(addrs, echo.Addr6())
	}
	for _, a := range addrs {
		c := dial(t, h, a)
		if err := echoes(c); err != nil {
			t.Errorf("%s: got %v, want an echo", a, err)
		}
	}
}

func TestNetworksDoNotMeet(t *testing.T) {
	echoHost(t, New(t))
	h := New(t).Host("client", "10.99.0.10/24")
	if c, err := h.Dial(netip.Addr{}, netip.MustParseAddrPort("10.99.0.20:7"), 100*time.Millisecond); err == nil {
		_ = c.Close()
		t.Error("got a connection into another network, want none")
	}
}

func TestUnpluggedHostIsSilent(t *testing.T) {
	n := New(t)
	echo, h := echoHost(t, n), n.Host("client", "10.99.0.10/24")
	c := dial(t, h, echo.Addr())
	if err := h.Unplug(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if err := echoes(c); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("unplugged: got %v, want silence", err)
	}
	if err := h.Plug(); err != nil {
		t.Fatal(err)
	}
	if err := echoes(dial(t, h, echo.Addr())); err != nil {
		t.Errorf("plugged in again: got %v, want an echo", err)
	}
}

func TestCounterSeesWhatArrives(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	n := New(t)
	echo, h := echoHost(t, n), n.Host("client", "10.99.0.10/24")
	syns, err := echo.Count("tcp flags & (syn|ack) == syn")
	if err != nil {
		t.Fatal(err)
	}
	other, err := echo.Count("tcp dport 8")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		dial(t, h, echo.Addr())
	}
	for c, want := range map[*Counter]int{syns: 3, other: 0} {
		if got, err := c.Packets(); err != nil || got != want {
			t.Errorf("got %d packets and %v, want %d", got, err, want)
		}
	}
}

func TestProgramsRunOnTheirHost(t *testing.T) {
	h := New(t).Host("client", "10.99.0.10/24")
	out, err := h.Run(t.Context(), exec.Command("ip", "-brief", "addr"))
	if err != nil || !strings.Contains(out, "10.99.0.10/24") {
		t.Errorf("got %q and %v, want the host's address", out, err)
	}
	if out, err := h.Run(t.Context(), exec.Command("sh", "-c", "echo no; exit 3")); err == nil || out != "no\n" {
		t.Errorf("got %q and %v, want the output and an error", out, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Run(ctx, exec.Command("sleep", "600")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beyond its time: got %v, want a deadline", err)
	}
}

func TestCloseEndsPrograms(t *testing.T) {
	n := New(t)
	h := n.Host("client", "10.99.0.10/24")
	p, err := h.Start(exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	path := h.Path()
	n.Close()
	select {
	case <-p.Exited():
	case <-time.After(patience):
		t.Fatal("the program still runs")
	}
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process: got %v, want none", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Errorf("%s is still there, want the namespace given up", path)
	}
}

func TestThreadsComeHome(t *testing.T) {
	home, err := os.Readlink(ownSpace)
	if err != nil {
		t.Fatal(err)
	}
	h := New(t).Host("client", "10.99.0.10/24")
	there := ""
	err = h.Do(func() error { there, err = os.Readlink(ownSpace); return err })
	if err != nil || there == home {
		t.Errorf("inside: got %s and %v, want another namespace than %s", there, err, home)
	}
	if back, err := os.Readlink(ownSpace); err != nil || back != home {
		t.Errorf("afterwards: got %s and %v, want %s", back, err, home)
	}
}
