package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// starvedChild names the gateway's address to a child of this test, which is
// a gateway with few descriptors; its client and VM are here.
const starvedChild = "VDI_GATEWAY_TEST_STARVED"

// TestStarvedChild is the child: it opens a grant of many channels for each
// line it reads, "client vm", and answers "port" or "refused: why".
func TestStarvedChild(t *testing.T) {
	text := os.Getenv(starvedChild)
	if text == "" {
		t.Skip("it is a part of TestDescriptorsExhausted")
	}
	addr := netip.MustParseAddr(text)
	r := startRig(t, addr, configFor(addr), Deps{})
	few := unix.Rlimit{Cur: uint64(descriptors(t) + 40), Max: 4096}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		client, vm, _ := strings.Cut(lines.Text(), " ")
		g, err := r.ask(client, netip.MustParseAddrPort(vm), channels(1000), probing)
		switch {
		case err == nil:
			fmt.Println("port", g.Port)
		case errors.Is(err, ErrOverloaded):
			fmt.Println("refused", err)
		default:
			fmt.Println("unexpected", err)
		}
	}
}

// child is the starved gateway.
type child struct {
	t    *testing.T
	in   io.WriteCloser
	out  *bufio.Scanner
	addr netip.Addr
}

func startChild(t *testing.T) *child {
	t.Helper()
	ch := &child{t: t, addr: loopbackOf(t)}
	cmd := exec.Command(os.Args[0], "-test.run=^TestStarvedChild$", "-test.v")
	cmd.Env = append(os.Environ(), starvedChild+"="+ch.addr.String())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ch.in, ch.out = in, bufio.NewScanner(out)
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the starved gateway ended with %v", err)
		}
	})
	return ch
}

// ask returns the child's answer; 0 when it refused.
func (ch *child) ask(client string, vm *machine) (port uint16) {
	ch.t.Helper()
	if _, err := fmt.Fprintln(ch.in, client, vm.addr); err != nil {
		ch.t.Fatal(err)
	}
	for ch.out.Scan() {
		line := ch.out.Text()
		switch {
		case strings.HasPrefix(line, "refused "):
			return 0
		case strings.HasPrefix(line, "port "):
			_, _ = fmt.Sscan(line[5:], &port)
			return port
		case strings.HasPrefix(line, "unexpected "):
			ch.t.Fatal(line)
		}
	}
	ch.t.Fatal("the starved gateway has ended")
	return 0
}

func TestDescriptorsExhausted(t *testing.T) {
	ch, vm := startChild(t), newEcho(t)
	at := netip.AddrPortFrom(ch.addr, ch.ask("127.0.0.5", vm))
	var open []*net.TCPConn
	works := func(c *net.TCPConn) bool {
		_ = c.SetDeadline(time.Now().Add(time.Second))
		return said(c, "hello") == nil
	}
	for len(open) < 100 {
		c, err := dialFrom("127.0.0.5", at, time.Second)
		if err != nil {
			break
		}
		open = append(open, c)
		if !works(c) {
			break
		}
	}
	if len(open) == 100 {
		t.Fatal("got 100 tunnels out of 40 descriptors: nothing was exhausted")
	}
	if len(open) < 5 {
		t.Fatalf("got %d tunnels out of 40 descriptors, want some", len(open))
	}
	for ch.ask("127.0.0.6", vm) != 0 && !t.Failed() {
		if len(open) > 200 {
			t.Fatal("opens go on without descriptors")
		}
		c, err := dialFrom("127.0.0.5", at, time.Second)
		if err != nil {
			continue
		}
		open = append(open, c)
	}
	for _, c := range open {
		_ = c.SetLinger(0)
		c.Close()
	}
	eventually(t, "a tunnel once there are descriptors again", func() bool {
		c, err := dialFrom("127.0.0.5", at, time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		return works(c)
	})
	eventually(t, "a grant once there are descriptors again", func() bool { return ch.ask("127.0.0.7", vm) != 0 })
}
