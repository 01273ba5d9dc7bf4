//go:build e2e

package e2e

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

const (
	// headTime is what a client has for handshake and head of a request, and
	// headSlack what a busy machine adds.
	headTime, headSlack = 5 * time.Second, 3 * time.Second
	// crowd is how many strangers do the same at the API; statistics take fewer
	// connections altogether.
	crowd, fewer = 300, 20
)

// stranger is a way to waste a node's time.
type stranger struct {
	name       string
	api, stats int  // how many at either port
	atOnce     bool // it is clear from the bytes that nothing will come of it
	// approach does the beginning and returns the rest, which goes on while the end
	// of the connection is waited for.
	approach func(c net.Conn, hello []byte) (rest func(), err error)
}

// completed says more after a handshake.
func completed(then func(c net.Conn, secure *tls.Conn)) func(net.Conn, []byte) (func(), error) {
	return func(c net.Conn, _ []byte) (func(), error) {
		secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a stranger does not care
		return func() { then(c, secure) }, secure.Handshake()
	}
}

// slowly says bytes one a second until the connection ends.
func slowly(w io.Writer, bytes []byte) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, b := range bytes {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		<-tick.C
	}
}

func strangers() []stranger {
	say := func(bytes []byte) func(net.Conn, []byte) (func(), error) {
		return func(c net.Conn, _ []byte) (func(), error) { return func() { _, _ = c.Write(bytes) }, nil }
	}
	hello := func(how func(c net.Conn, hello []byte)) func(net.Conn, []byte) (func(), error) {
		return func(c net.Conn, bytes []byte) (func(), error) { return func() { how(c, bytes) }, nil }
	}
	tlsNoise := append([]byte{22, 3, 1, 2, 0}, noise(2000)...)
	request := []byte("GET /livez HTTP/1.1\r\nHost: gate\r\n")
	return []stranger{
		{"say nothing", crowd, fewer, false, say(nil)},
		{"stop amid the handshake", crowd, fewer, false, hello(func(c net.Conn, hello []byte) { _, _ = c.Write(hello) })},
		{"cut the hello in the middle", fewer, 5, false, hello(func(c net.Conn, hello []byte) { _, _ = c.Write(hello[:len(hello)/2]) })},
		{"say the hello a byte a second", fewer, 5, false, hello(func(c net.Conn, hello []byte) { slowly(c, hello) })},
		{"announce a record and send none", fewer, 5, false, say([]byte{22, 3, 1, 0x3f, 0xff})},
		{"say an unfinished line", fewer, 5, false, say([]byte("GET /"))},
		{"are silent after the handshake", fewer, 5, false, completed(func(net.Conn, *tls.Conn) {})},
		{"say the request a byte a second", fewer, 5, false, completed(func(_ net.Conn, s *tls.Conn) { slowly(s, request) })},
		{"speak no HTTP", fewer, 5, true, say([]byte("what is this?\r\n\r\n"))},
		{"say random bytes with ends of line", fewer, 5, true, say(append(noise(2000), "\r\n\r\n"...))},
		{"say random bytes as TLS", fewer, 5, true, say(tlsNoise)},
		{"say SSLv2's hello", fewer, 5, false, say([]byte("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x07\x00\xc0\x03\x00\x80\x01\x00\x80\x06\x00\x40\x04\x00\x80\x02\x00\x800123456789abcdef"))},
		{"go on in plain words", fewer, 5, true, completed(func(c net.Conn, _ *tls.Conn) { _, _ = c.Write(request) })},
	}
}

func TestTLSStrangersAreClosedAndDisturbNobody(t *testing.T) {
	p := newPlace(t, node.Config{Settings: node.Settings{"ssl": true}, Env: []string{"GOGC=20"}}) // what is freed shows soon
	trust := selfSigned(t, p)
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	client := p.node.Client(p.client).Secure(trust)
	t.Cleanup(client.Close)
	all := newChats(t)
	all.add("session", carrier{p.client, p.apiAt(), client, trust, v.addr}.dial(t, "user"))
	client.Close()
	hello := helloOf(t, tls.VersionTLS13)
	before := p.figures(t, trust)
	served := p.serveOthers(t, trust)
	var crowds sync.WaitGroup
	results := make([]atomic.Int64, len(strangers())) // the longest, by kind
	for i, s := range strangers() {
		for at, n := range map[netip.AddrPort]int{p.apiAt(): s.api, p.statsAt(): s.stats} {
			for range n {
				c, err := p.stranger.Dial(netip.Addr{}, at, patience)
				if err != nil {
					t.Fatal(err)
				}
				crowds.Go(func() { s.spend(t, c, hello, &results[i]) })
			}
		}
	}
	crowds.Wait()
	for i, s := range strangers() {
		t.Logf("those who %s: the last was closed after %s", s.name, time.Duration(results[i].Load()).Round(time.Millisecond))
	}
	served(t)
	all.goOn(t, "afterwards")
	p.wantFigures(t, trust, before)
}

// spend lets a stranger do what he does, and wants him closed in time.
func (s stranger) spend(t *testing.T, c *net.TCPConn, hello []byte, longest *atomic.Int64) {
	defer func() { _ = c.Close() }()
	began := time.Now()
	limit := headTime + headSlack
	_ = c.SetDeadline(began.Add(limit))
	rest, err := s.approach(c, hello)
	if err != nil {
		t.Errorf("those who %s: got %v, want the handshake done", s.name, err)
		return
	}
	go rest()
	_, err = io.Copy(io.Discard, c)
	took := time.Since(began)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("those who %s: one is still connected after %s, want it closed", s.name, took)
	}
	if early := took < headTime-time.Second; early != s.atOnce {
		t.Errorf("those who %s: one was closed after %s, want it at once: %t", s.name, took, s.atOnce)
	}
	for was := longest.Load(); int64(took) > was && !longest.CompareAndSwap(was, int64(took)); was = longest.Load() {
	}
}

// serveOthers asks every port for something ten times a second, each time on a new
// connection, until the func that it returns is called: that wants all answered.
func (p *place) serveOthers(t *testing.T, trust *tls.Config) (served func(*testing.T)) {
	t.Helper()
	stop := make(chan struct{})
	var others sync.WaitGroup
	var answers, slowest atomic.Int64
	for _, url := range []string{"https://" + p.apiAt().String() + "/livez", "https://" + p.statsAt().String() + "/"} {
		others.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				began := time.Now()
				if _, err := p.fetch(url, trust); err != nil {
					t.Errorf("meanwhile, %s: got %v, want an answer", url, err)
					return
				}
				answers.Add(1)
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
				select {
				case <-stop:
					return
				case <-tick.C:
				}
			}
		})
	}
	return func(t *testing.T) {
		t.Helper()
		close(stop)
		others.Wait()
		t.Logf("%d requests of others were answered meanwhile, the slowest after %s", answers.Load(), time.Duration(slowest.Load()).Round(time.Millisecond))
	}
}
