package balancer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// server is a node's API as far as a balancer sees it: it answers checks, and
// tells everybody else who it is, what header came and from whom.
type server struct {
	addr netip.AddrPort
	ill  atomic.Bool

	mu    sync.Mutex
	door  net.Listener
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newServer(t *testing.T, at netip.AddrPort) *server {
	t.Helper()
	s := &server{addr: at, conns: map[net.Conn]bool{}}
	s.start(t)
	t.Cleanup(s.die)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	d, err := net.Listen("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.door = d
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(c) })
		}
	})
}

// die ends it as SIGKILL would: nobody listens, all connections are cut.
func (s *server) die() {
	s.mu.Lock()
	_ = s.door.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *server) serve(c net.Conn) {
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(c)
	line, err := in.ReadString('\n')
	switch {
	case err != nil:
	case strings.HasPrefix(line, "GET /readyz ") && s.ill.Load():
		_, _ = io.WriteString(c, "HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n")
	case strings.HasPrefix(line, "GET /readyz "):
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
	default:
		_, _ = fmt.Fprintf(c, "%s %s %s", s.addr.Addr(), c.RemoteAddr().(*net.TCPAddr).IP, line)
		_, _ = io.Copy(c, in) // then it echoes
	}
}

// header is what this rig takes for the PROXY header.
func header(client, local netip.AddrPort) []byte { return fmt.Appendf(nil, "%s %s\n", client, local) }

// relayed is a relay of the simplest kind.
type relayed struct {
	ctx context.Context
	wg  sync.WaitGroup
}

func newRelay(t *testing.T) *relayed {
	ctx, cancel := context.WithCancel(t.Context())
	r := &relayed{ctx: ctx}
	t.Cleanup(func() { cancel(); r.wg.Wait() })
	return r
}

type relayDoor struct{ *net.TCPListener }

func (d relayDoor) Close() { _ = d.TCPListener.Close() }

func (d relayDoor) Control(do func(int) error) error {
	raw, err := d.SyscallConn()
	if err != nil {
		return err
	}
	return control(do)("", "", raw)
}

func control(do func(int) error) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var err error
		if failed := raw.Control(func(fd uintptr) { err = do(int(fd)) }); failed != nil {
			return failed
		}
		return err
	}
}

func (r *relayed) listen(addr netip.AddrPort, d Door) (Listener, error) {
	lc := net.ListenConfig{Control: control(d.Setup)}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(r.ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	door := relayDoor{l.(*net.TCPListener)}
	r.wg.Go(func() {
		for {
			c, err := door.AcceptTCP()
			if err != nil {
				return
			}
			r.wg.Go(func() {
				reset := func() { _ = c.SetLinger(0); _ = c.Close() }
				r.carry(c, d.Knock(c.RemoteAddr().(*net.TCPAddr).AddrPort(), reset))
			})
		}
	})
	return door, nil
}

func (r *relayed) carry(client *net.TCPConn, way *Route) {
	defer client.Close()
	_ = client.SetLinger(0)
	if way == nil {
		return
	}
	var up, down int64
	defer func() { way.Ended(up, down) }()
	node := r.dial(way)
	if node == nil {
		return
	}
	defer node.Close()
	way.Joined()
	_, _ = node.Write(way.Header)
	_ = client.SetLinger(-1)
	defer context.AfterFunc(r.ctx, func() { _ = client.Close(); _ = node.Close() })()
	var upward sync.WaitGroup
	upward.Go(func() {
		up, _ = io.Copy(node, client)
		_ = node.(*net.TCPConn).CloseWrite()
	})
	down, _ = io.Copy(client, node)
	_ = client.CloseWrite()
	upward.Wait()
}

func (r *relayed) dial(way *Route) net.Conn {
	share := max(way.Timeout/time.Duration(len(way.To)), time.Millisecond)
	for _, to := range way.To {
		dialer := net.Dialer{Timeout: share, Control: control(way.Setup)}
		c, err := dialer.DialContext(r.ctx, "tcp", to.String())
		if err == nil {
			return c
		}
		way.Missed(to, err)
	}
	return nil
}
