package peer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// poster posts as it likes, from an address of its choice.
type poster struct {
	t    *testing.T
	to   *node
	from netip.Addr
}

func (s poster) post(method, path string, body []byte) int {
	s.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: s.from.AsSlice()}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	url := "http://" + netip.AddrPortFrom(s.to.config.Node, s.to.config.Port).String() + path
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := transport.RoundTrip(r)
	if errors.Is(err, syscall.ECONNRESET) && len(body) > MaxRequest {
		return http.StatusUnauthorized // the answer came before all was sent, and got lost
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.ContentLength != 0 {
		s.t.Errorf("a refused request is answered %d bytes, want none", resp.ContentLength)
	}
	return resp.StatusCode
}

// TestRefusals sends what A would send to B, each time with one thing wrong.
func TestRefusals(t *testing.T) {
	a, b := pair(t, "key")
	served := 0
	b.server.Handle("count", func(context.Context, netip.Addr, []byte) ([]byte, error) { served++; return nil, nil })
	mine, other := newBox(requests, []string{"key"}), newBox(requests, []string{"another"})
	right := request{at: time.Now(), from: nodeA, to: nodeB, instance: b.server.state.Load().instance, name: "count"}
	sealed := func(by *box, change func(*request)) []byte {
		r := right
		change(&r)
		out, _ := by.seal(by.first, nil, r.encode())
		return out
	}
	same := func(*request) {}
	once := sealed(mine, same)
	const path = "/internal/count"
	for _, tt := range []struct {
		name, method, path string
		from               netip.Addr
		body               []byte
		status             int
		counted            string
	}{
		{"as it should be", "POST", path, nodeA, once, 200, "served"},
		{"again", "POST", path, nodeA, once, 401, "replayed"},
		{"again, of another node", "POST", path, nodeC, sealed(mine, same), 401, "misdirected"},
		{"from a stranger", "POST", path, netip.MustParseAddr("127.0.0.9"), sealed(mine, same), 404, "stranger"},
		{"from itself", "POST", path, nodeB, sealed(mine, same), 404, "stranger"},
		{"read", "GET", path, nodeA, nil, 404, "stranger"},
		{"sealed by another key", "POST", path, nodeA, sealed(other, same), 401, "unopenable"},
		{"an answer", "POST", path, nodeA, sealed(newBox(answers, []string{"key"}), same), 401, "unopenable"},
		{"one bit changed", "POST", path, nodeA, flip(sealed(mine, same), 40), 401, "unopenable"},
		{"another count", "POST", path, nodeA, flip(sealed(mine, same), headerSize-1), 401, "unopenable"},
		{"another version", "POST", path, nodeA, flip(sealed(mine, same), 0), 401, "unopenable"},
		{"nothing", "POST", path, nodeA, nil, 401, "unopenable"},
		{"for another node", "POST", path, nodeA, sealed(mine, func(r *request) { r.to = nodeC }), 401, "misdirected"},
		{"for another path", "POST", "/internal/other", nodeA, sealed(mine, same), 401, "misdirected"},
		{"old", "POST", path, nodeA, sealed(mine, func(r *request) { r.at = r.at.Add(-MaxSkew - time.Second) }), 401, "untimely"},
		{"of the future", "POST", path, nodeA, sealed(mine, func(r *request) { r.at = r.at.Add(2 * MaxSkew) }), 401, "untimely"},
		{"for a former life", "POST", path, nodeA, sealed(mine, func(r *request) { r.instance[0]++ }), 200, "outdated"},
		{"too large", "POST", path, nodeA, make([]byte, MaxRequest+64<<10), 401, "too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := b.server.Stats()
			if got := (poster{t, b, tt.from}).post(tt.method, tt.path, tt.body); got != tt.status {
				t.Errorf("got %d, want %d", got, tt.status)
			}
			for why, n := range b.server.Stats() {
				if want := before[why] + map[bool]uint64{true: 1}[why == tt.counted]; n != want {
					t.Errorf("got %d counted as %s, want %d", n, why, want)
				}
			}
		})
	}
	b.config.Nodes = []netip.Addr{nodeB, nodeA}
	if err := b.server.Apply(b.config); err != nil {
		t.Fatal(err)
	}
	_ = poster{t, b, nodeA}.post("POST", path, once)
	if served != 1 {
		t.Errorf("the handler ran %d times, the last after another Config; want once", served)
	}
	if _, err := call(t, a, nodeB, "count", ""); err != nil {
		t.Errorf("a node is refused afterwards: %v", err)
	}
}

func flip(sealed []byte, at int) []byte {
	sealed[at] ^= 1
	return sealed
}

// TestAnswersFitTheirRequest: what answered one request does not answer another.
func TestAnswersFitTheirRequest(t *testing.T) {
	asked, answered := newBox(requests, []string{"key"}), newBox(answers, []string{"key"})
	_, first := asked.seal(asked.first, nil, nil)
	_, second := asked.seal(asked.first, nil, nil)
	answer, _ := answered.seal(answered.first, first[:], []byte("yes"))
	reader := newBox(answers, []string{"key"})
	if _, _, _, ok := reader.open(second[:], bytes.Clone(answer)); ok {
		t.Error("the answer to the first request opens for the second")
	}
	if got, _, _, ok := reader.open(first[:], answer); !ok || string(got) != "yes" {
		t.Errorf("got %q, %v for its own request", got, ok)
	}
}

// TestOldSendersMakeRoom: senders are forgotten when too old to be believed
// anyway, and never before.
func TestOldSendersMakeRoom(t *testing.T) {
	b := newBox(requests, []string{"key"})
	now := time.Unix(1e9, 0)
	hear := func(now time.Time) bool {
		sealed, _ := newBox(requests, []string{"key"}).seal(b.first, nil, nil)
		_, id, by, ok := b.open(nil, sealed)
		return ok && b.hear(by, id.count(), now)
	}
	for i := range maxSenders {
		if !hear(now) {
			t.Fatalf("sender %d is refused", i)
		}
	}
	if hear(now.Add(memory)) {
		t.Error("one more finds room while all others may still be replayed")
	}
	if !hear(now.Add(memory + 1)) {
		t.Error("one more finds no room after all others have become too old")
	}
	if len(b.known) != 1 {
		t.Errorf("got %d senders, want 1", len(b.known))
	}
}

func FuzzOpen(f *testing.F) {
	s := NewServer()
	cfg := Config{Node: nodeB, Nodes: nodes, Port: 1, Keys: []string{"key"}}
	if err := s.Apply(cfg); err != nil {
		f.Fatal(err)
	}
	state, now := s.state.Load(), time.Unix(1e9, 0)
	by := newBox(requests, cfg.Keys)
	good, _ := by.seal(by.first, nil, request{at: now, from: nodeA, to: nodeB, instance: state.instance, name: "x"}.encode())
	f.Add(good)
	f.Add(good[:headerSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		same := bytes.Equal(sealed, good)
		if _, _, why := state.admit(nodeA, sealed, now); (why == served || why == replayed) != same {
			t.Errorf("got %s, want served for the sealed request alone", why)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add(request{from: nodeA, to: netip.IPv6Loopback(), name: "name", body: []byte("body")}.encode())
	f.Add(make([]byte, fixedSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plain []byte) {
		r, ok := parseRequest(plain)
		if !ok {
			return
		}
		if again, ok := parseRequest(r.encode()); !ok || again.name != r.name || again.from != r.from ||
			again.to != r.to || !again.at.Equal(r.at) || !bytes.Equal(again.body, r.body) {
			t.Errorf("got %+v, want %+v again", again, r)
		}
	})
}

func FuzzParseFailure(f *testing.F) {
	f.Add(encodeFailure(&Failure{Code: "code", Message: "message"})[1:])
	f.Add([]byte{200, 'x'})
	f.Fuzz(func(t *testing.T, plain []byte) {
		if failure, ok := parseFailure(plain); ok && len(failure.Code)+len(failure.Message)+1 != len(plain) {
			t.Errorf("got %q, want all of %q", failure, plain)
		}
	})
}
