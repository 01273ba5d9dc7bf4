package rules

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

// desktop listens on the VM's port 5900, in the families of the kernel, and greets with
// the address it sees before it echoes.
type desktop struct {
	mu    sync.Mutex
	conns map[string]net.Conn // by the peer that the VM sees
}

func newDesktop(r *rig) *desktop {
	r.t.Helper()
	d := &desktop{conns: map[string]net.Conn{}}
	for _, f := range families() {
		l, err := r.vm.Listen(netip.AddrPortFrom(r.vm.Addrs()[f], 5900).String())
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = l.Close() })
		go d.serve(l)
	}
	return d
}

func (d *desktop) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.conns[c.RemoteAddr().String()] = c
		d.mu.Unlock()
		go func() {
			defer c.Close()
			fmt.Fprintf(c, "%s\n", c.RemoteAddr())
			_, _ = io.Copy(c, c)
		}()
	}
}

// session is a client's end of a connection that leads to a desktop.
type session struct {
	net.Conn
	seen string // the client's address as the VM sees it
}

// open connects from a host to a port of the virtual address of a family.
func (r *rig) open(h *lab.Host, family int, port uint16) (*session, error) {
	c, err := h.Dial(netip.Addr{}, netip.AddrPortFrom(r.cfg.Virtual[family], port), patience)
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { _ = c.Close() })
	s := &session{Conn: c}
	_ = c.SetDeadline(time.Now().Add(patience))
	buffer := make([]byte, 100)
	for !strings.HasSuffix(s.seen, "\n") {
		n, err := c.Read(buffer)
		if err != nil {
			return nil, fmt.Errorf("no greeting: %w", err)
		}
		s.seen += string(buffer[:n])
	}
	s.seen = strings.TrimSpace(s.seen)
	return s, nil
}

// mustOpen is open where it has to work.
func (r *rig) mustOpen(h *lab.Host, family int, port uint16) *session {
	r.t.Helper()
	s, err := r.open(h, family, port)
	if err != nil {
		r.t.Fatalf("open %s:%d from %s: %v", r.cfg.Virtual[family], port, h.Name(), err)
	}
	return s
}

// refused fails unless the host gets a reset instead of a connection.
func (r *rig) refused(h *lab.Host, family int, port uint16) {
	r.t.Helper()
	if _, err := r.open(h, family, port); !errors.Is(err, syscall.ECONNREFUSED) {
		r.t.Errorf("%s to port %d of %s: got %v, want it refused", h.Name(), port, r.cfg.Virtual[family], err)
	}
}

// silent fails unless nothing answers.
func (r *rig) silent(h *lab.Host, to netip.AddrPort) {
	r.t.Helper()
	c, err := h.Dial(netip.Addr{}, to, 300*time.Millisecond)
	if err == nil {
		_ = c.Close()
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		r.t.Errorf("%s to %s: got %v, want no answer", h.Name(), to, err)
	}
}

// echoes sends something through the session and waits for it to come back.
func (s *session) echoes() error {
	_ = s.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(s, "hello"); err != nil {
		return err
	}
	_, err := io.ReadFull(s, make([]byte, 5))
	return err
}

// lives fails unless the session still carries bytes both ways.
func (r *rig) lives(what string, s *session) {
	r.t.Helper()
	if err := s.echoes(); err != nil {
		r.t.Errorf("%s: got %v, want the session to go on", what, err)
	}
}

// eventually polls until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got no %s within %s", what, patience)
		}
	}
}
