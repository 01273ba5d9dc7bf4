package peer

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	nodeA = netip.MustParseAddr("127.0.0.1")
	nodeB = netip.MustParseAddr("127.0.0.2")
	nodeC = netip.MustParseAddr("127.0.0.3")
	nodes = []netip.Addr{nodeA, nodeB, nodeC}
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one node: a Server on its address and a Client.
type node struct {
	*Client
	server *Server
	config Config
}

// newNode starts a node on addr. port 0 chooses one.
func newNode(t testing.TB, addr netip.Addr, port uint16, keys ...string) *node {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(addr, port).String())
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Client: NewClient(), server: NewServer()}
	n.config = Config{Node: addr, Nodes: nodes, Port: uint16(l.Addr().(*net.TCPAddr).Port), Keys: keys}
	for _, apply := range []func(Config) error{n.Client.Apply, n.server.Apply} {
		if err := apply(n.config); err != nil {
			t.Fatal(err)
		}
	}
	n.server.Handle("echo", func(_ context.Context, from netip.Addr, body []byte) ([]byte, error) {
		return append([]byte(from.String()+" "), body...), nil
	})
	h := &http.Server{Handler: n.server, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Serve(l) }()
	t.Cleanup(func() { n.Client.Close(); _ = h.Close(); <-done })
	return n
}

// pair starts nodes A and B with the same keys.
func pair(t testing.TB, keys ...string) (a, b *node) {
	t.Helper()
	a = newNode(t, nodeA, 0, keys...)
	return a, newNode(t, nodeB, a.config.Port, keys...)
}

func call(t testing.TB, n *node, to netip.Addr, name, body string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answer, err := n.Call(ctx, to, name, []byte(body))
	return string(answer), err
}

func TestCallAnswers(t *testing.T) {
	a, b := pair(t, "key")
	for _, body := range []string{"hello", "", strings.Repeat("x", MaxRequest)} {
		got, err := call(t, a, nodeB, "echo", body)
		if err != nil || got != "127.0.0.1 "+body {
			t.Fatalf("got %.40q, %v, want the address and the body", got, err)
		}
	}
	if got := b.server.Stats(); got["served"] != 3 || got["outdated"] != 1 {
		t.Errorf("got %v, want 3 served and 1 outdated", got)
	}
}

func TestCallFails(t *testing.T) {
	a, b := pair(t, "key")
	b.server.Handle("full", func(context.Context, netip.Addr, []byte) ([]byte, error) {
		return nil, &Failure{Code: "taken", Message: "port 5900 is taken"}
	})
	b.server.Handle("broken", func(context.Context, netip.Addr, []byte) ([]byte, error) { return nil, errors.New("no disk") })
	b.server.Handle("huge", func(context.Context, netip.Addr, []byte) ([]byte, error) { return make([]byte, MaxAnswer+1), nil })
	for name, want := range map[string]Failure{
		"full":   {"taken", "port 5900 is taken"},
		"broken": {CodeFailed, "no disk"},
		"huge":   {CodeTooLarge, "the answer to huge is too large"},
		"absent": {CodeUnknown, `this node knows no request "absent"`},
	} {
		_, err := call(t, a, nodeB, name, "")
		var got *Failure
		if !errors.As(err, &got) || *got != want || errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

func TestCallUnreachable(t *testing.T) {
	a, b := pair(t, "key")
	for name, to := range map[string]netip.Addr{
		"nobody listens": nodeC, "itself": nodeA, "no node": netip.MustParseAddr("127.0.0.9"), "no address": {},
	} {
		if _, err := call(t, a, to, "echo", ""); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: got %v, want unreachable", name, err)
		}
	}
	entered := make(chan struct{})
	b.server.Handle("slow", func(ctx context.Context, _ netip.Addr, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	if _, err := a.Call(ctx, nodeB, "slow", nil); !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want unreachable and canceled", err)
	}
}

func TestCallSurvivesRestart(t *testing.T) {
	a, _ := pair(t, "key")
	if _, err := call(t, a, nodeB, "echo", ""); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	a.lives[nodeB] = instance{1}
	a.mu.Unlock()
	if _, err := call(t, a, nodeB, "echo", ""); err != nil {
		t.Errorf("got %v, want an answer of the new instance", err)
	}
}

func TestCallKeys(t *testing.T) {
	a, b := pair(t, "former")
	both := func(first, second string) []string { return []string{first, second} }
	for _, step := range []struct {
		node *node
		keys []string
		ok   bool
	}{
		{a, both("former", "new"), true},
		{b, both("new", "former"), true},
		{a, both("new", "former"), true},
		{b, []string{"new"}, true},
		{a, []string{"former"}, false},
	} {
		step.node.config.Keys = step.keys
		if err := errors.Join(step.node.Client.Apply(step.node.config), step.node.server.Apply(step.node.config)); err != nil {
			t.Fatal(err)
		}
		_, ab := call(t, a, nodeB, "echo", "")
		_, ba := call(t, b, nodeA, "echo", "")
		if ok := ab == nil && ba == nil; ok != step.ok {
			t.Fatalf("after %v on %s: got %v and %v, want ok %v", step.keys, step.node.config.Node, ab, ba, step.ok)
		}
	}
}

func TestHandlersCallNobody(t *testing.T) {
	a, b := pair(t, "key")
	b.server.Handle("guarded", func(ctx context.Context, from netip.Addr, _ []byte) ([]byte, error) {
		return b.Call(ctx, from, "echo", nil)
	})
	b.server.Handle("allowed", func(ctx context.Context, from netip.Addr, _ []byte) ([]byte, error) {
		return b.Call(Allow(ctx), from, "echo", nil)
	})
	if _, err := call(t, a, nodeB, "guarded", ""); err == nil || err.Error() != ErrLoop.Error() {
		t.Errorf("got %v, want %v", err, ErrLoop)
	}
	if got, err := call(t, a, nodeB, "allowed", ""); err != nil || got != "127.0.0.2 " {
		t.Errorf("got %q, %v, want an answer", got, err)
	}
}
