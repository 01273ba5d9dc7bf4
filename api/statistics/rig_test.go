package statistics

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const version = "0.1.0-test"

// source is a node whose numbers tests set.
type source struct {
	mu   sync.Mutex
	snap Snapshot
}

func (s *source) take() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snap
}

// three is a cluster with something in every field; its third node is away.
func three() Snapshot {
	a := func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, n}) }
	return Snapshot{
		Node: a(1), Role: "active", Ready: true, Revision: 17,
		Sessions: 1234, Grants: 7, Channels: 2468, Forwarded: 3, MaxConnections: 10000, FreePorts: 88,
		BytesUp: 5_400_000, BytesDown: 123_456_789_000,
		Dispatchers: Dispatchers{Up: 2, Down: 1},
		Relay:       Relay{Loops: 2, Pairs: 2468, Pipes: 12, Spliced: 99},
		Kernel:      &Kernel{Flows: 11, Refused: 12, Limited: 13, Dropped: 14},
		Directory: &Directory{
			Records: map[string]int{"grant": 41, "sticky": 5}, Bytes: 9000,
			Lag: 15 * time.Millisecond, Refused: map[string]uint64{"slot": 2},
		},
		VRRP: &VRRP{
			Since: time.UnixMilli(1_795_000_000_500), Took: 700 * time.Microsecond, Strangers: 1,
			Became: map[string]uint64{"active": 2, "backup": 3}, Discarded: map[string]uint64{"vrid": 5},
			Sent: 1000, Unsent: 1, Received: 40, Announced: 9, Guards: 1,
		},
		Backends: []BackendLine{
			{Front: "tunnel", Node: a(1), Up: true, Connections: 40, Total: 4000},
			{Front: "tunnel", Node: a(3), Total: 12},
		},
		Nodes: []NodeLine{
			{Addr: a(1), Alive: true, Role: "active", Ready: true, Connections: 1241, Revision: 17, Version: version},
			{Addr: a(2), Alive: true, Role: "backup", Ready: true, Draining: true, Connections: 6, Revision: 16, Version: version},
			{Addr: a(3), Role: "backup", Revision: 17, Version: version},
		},
	}
}

func quiet() logrus.FieldLogger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}

func newServer(t *testing.T, snap Snapshot) (*Server, *source) {
	t.Helper()
	src := &source{snap: snap}
	return New(Deps{Source: src.take, Version: version, Log: quiet()}), src
}

// started is a server on a port of its own, and its URL without a final slash.
func started(t *testing.T, snap Snapshot) (*Server, *source, string) {
	t.Helper()
	s, src := newServer(t, snap)
	if err := s.Apply(Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	return s, src, "http://" + s.Addrs()[0].String()
}

// run runs s until the test ends, or the returned func is called.
func run(t *testing.T, s *Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not return")
		}
	})
	t.Cleanup(stop)
	return stop
}

// call makes a request and returns status, header and body.
func call(t *testing.T, method, url string) (int, http.Header, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}
