package e2e

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"

	"vdi-gateway/tests/lab"
)

// vm is a server on a host that stands for a VM.
type vm struct {
	addr     netip.AddrPort
	accepted atomic.Int64
}

// serve answers connections to addr on h with handle until the test ends.
func serve(t *testing.T, h *lab.Host, addr string, handle func(*net.TCPConn)) *vm {
	t.Helper()
	l, err := h.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	v := &vm{addr: netip.MustParseAddrPort(addr)}
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			v.accepted.Add(1)
			go func() {
				defer func() { _ = c.Close() }()
				handle(c)
			}()
		}
	}()
	return v
}

// echo sends back what it gets, and the end of the stream when it gets that.
func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}

// echoProcess is an echoing VM in a process of its own, which can be killed.
func echoProcess(t *testing.T, h *lab.Host, addr string) *lab.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), vmVariable+"="+addr)
	p, err := h.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the VM listens", func() bool { return p.Output() != "" })
	return p
}

// beVM is what the test binary does as echoProcess.
func beVM(addr string) int {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		go echo(c.(*net.TCPConn))
	}
}

// need skips the test when a program is not installed.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}
