package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vdi-gateway/gateway/relay"
)

// patience is how long a test waits for what has to happen. It is a bound for
// failures: nothing waits for it when all is well.
const patience = 10 * time.Second

// prompt is five times what "at once" may take.
const prompt = 2500 * time.Millisecond

// engineVar tells the second round of tests to copy.
const engineVar = "VDI_GATEWAY_TEST_COPYING"

// TestMain runs everything twice: on the engine that New makes, and on the one
// that serves where epoll cannot be had.
func TestMain(m *testing.M) {
	if what := os.Getenv(endsVar); what != "" {
		if err := beEnds(what); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(bothEngines{m})
}

type bothEngines struct{ m *testing.M }

func (b bothEngines) Run() int {
	if code := b.m.Run(); code != 0 {
		return code
	}
	if err := os.Setenv(engineVar, "1"); err != nil {
		return 1
	}
	return b.m.Run()
}

func newEngine() *relay.Engine {
	if os.Getenv(engineVar) != "" {
		return relay.NewCopying()
	}
	return relay.New()
}

// running is an engine whose Run ends with the test.
func running(t testing.TB) *relay.Engine {
	t.Helper()
	e := newEngine()
	run(t, e)
	return e
}

// run runs an engine until the test ends.
func run(t testing.TB, e *relay.Engine) {
	t.Helper()
	t.Cleanup(runUntil(t, e))
}

// runUntil runs an engine until stop is called, which waits for its end.
func runUntil(t testing.TB, e *relay.Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("got %v from Run, want nil", err)
			}
		case <-time.After(patience):
			t.Error("the engine did not stop")
		}
	})
}

// connection returns both ends of a TCP connection on loopback.
func connection(t testing.TB) (here, there *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	here, there = accepted, c.(*net.TCPConn)
	t.Cleanup(func() { here.Close(); there.Close() })
	for _, c := range []*net.TCPConn{here, there} {
		_ = c.SetDeadline(time.Time{})
	}
	_ = there.SetDeadline(time.Now().Add(3 * patience))
	return here, there
}

// tunnel is a pair of TCP legs with the far ends in the test's hands.
type tunnel struct {
	t          testing.TB
	client, vm *net.TCPConn
	pair       relay.Pair
	ended      chan relay.Result
}

func open(t testing.TB, e *relay.Engine, opt relay.Options) *tunnel {
	t.Helper()
	return openOver(t, e, opt, func(c *net.TCPConn) net.Conn { return c })
}

// openOver is open with a client leg of another make.
func openOver(t testing.TB, e *relay.Engine, opt relay.Options, leg func(*net.TCPConn) net.Conn) *tunnel {
	t.Helper()
	atGateway, client := connection(t)
	toVM, vm := connection(t)
	tun := &tunnel{t: t, client: client, vm: vm, ended: make(chan relay.Result, 8)}
	opt.OnEnd = func(r relay.Result) { tun.ended <- r }
	tun.pair = e.Join(leg(atGateway), toVM, opt)
	return tun
}

// result waits for the end of the pair.
func (tun *tunnel) result() relay.Result {
	tun.t.Helper()
	select {
	case r := <-tun.ended:
		return r
	case <-time.After(patience):
		tun.t.Fatal("the pair did not end")
		return relay.Result{}
	}
}

// resetBy makes the kernel send a reset to the other side of c.
func resetBy(c interface {
	SetLinger(sec int) error
	Close() error
},
) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// isReset tells whether err is what a peer's reset looks like.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// eventually polls until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// pass sends message from one end and expects it at the other.
func pass(t testing.TB, from, to net.Conn, message string) {
	t.Helper()
	if _, err := io.WriteString(from, message); err != nil {
		t.Fatalf("send: %v", err)
	}
	got := make([]byte, len(message))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != message {
		t.Fatalf("got %q (%v), want %q", got, err, message)
	}
}
