package peer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"vdi-gateway/api/certificate"
)

const (
	maxConns = 16               // to one node
	idleTime = 30 * time.Second // less than the server's, so that it closes none under a request
	dialTime = 5 * time.Second
	// callTime bounds calls whose context has no end.
	callTime = 30 * time.Second
)

// Client calls other nodes. Many calls may run at once; one node is sent 16 at a
// time and the others wait.
type Client struct {
	applying sync.Mutex
	state    atomic.Pointer[clientState]

	mu    sync.Mutex
	lives map[netip.Addr]instance // of nodes that answered
}

// clientState is a Config in the form calls need it.
type clientState struct {
	Config
	requests, answers *box
	http              *http.Transport
}

// NewClient returns a Client that reaches nobody until Apply.
func NewClient() *Client {
	c := &Client{lives: map[netip.Addr]instance{}}
	c.state.Store(&clientState{http: &http.Transport{}})
	return c
}

// Apply makes cfg the state. An equal one changes nothing; on an error nothing
// has changed. Calls under way go on.
func (c *Client) Apply(cfg Config) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	cfg, err := cfg.checked()
	former := c.state.Load()
	if err != nil || cfg.equal(former.Config) {
		return err
	}
	c.state.Store(&clientState{
		Config: cfg, requests: newBox(requests, cfg.Keys), answers: newBox(answers, cfg.Keys),
		http: cfg.transport(),
	})
	former.http.CloseIdleConnections()
	return nil
}

// transport opens connections from the own address: the others look at it.
func (c Config) transport() *http.Transport {
	dialer := &net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Node, 0)),
		Timeout:   dialTime, KeepAlive: idleTime / 2,
	}
	dialer.SetMultipathTCP(false)
	t := &http.Transport{
		DialContext: dialer.DialContext, DisableCompression: true,
		MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: maxConns, IdleConnTimeout: idleTime,
	}
	if c.TLS {
		t.TLSClientConfig = certificate.Member(c.Keys[0])
	}
	return t
}

func (c Config) url(to netip.Addr, name string) string {
	scheme := "http://"
	if c.TLS {
		scheme = "https://"
	}
	return scheme + netip.AddrPortFrom(to, c.Port).String() + Path + name
}

// Close closes connections that no call uses; calls that come later open new
// ones.
func (c *Client) Close() { c.state.Load().http.CloseIdleConnections() }

// Call sends body to the handler of this name on node to and returns its answer,
// which is the caller's. An error is a *Failure when the node refused; it wraps
// ErrUnreachable when no answer came; it is ErrLoop in a handler's context. Call
// sends a request once: after ErrUnreachable the caller may repeat what it may
// do twice.
func (c *Client) Call(ctx context.Context, to netip.Addr, name string, body []byte) ([]byte, error) {
	state := c.state.Load()
	switch {
	case inHandler(ctx):
		return nil, ErrLoop
	case !isName(name) || len(body) > MaxRequest:
		return nil, fmt.Errorf("request %.80q of %d bytes to a node: the name is not one, or it is too large", name, len(body))
	case !state.other(to):
		return nil, unreachable(to, name, fmt.Errorf("it is not among the other nodes"))
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTime)
		defer cancel()
	}
	req := request{from: state.Node, to: to, name: name, body: body}
	for range 2 { // the second time when it had another instance
		answer, again, err := c.try(ctx, state, req)
		if !again {
			return answer, err
		}
	}
	return nil, unreachable(to, name, fmt.Errorf("it restarts over and over"))
}

// try sends req once; again is true when the node was another instance than
// this one knew, and had no effect then.
func (c *Client) try(ctx context.Context, state *clientState, req request) (answer []byte, again bool, err error) {
	c.mu.Lock()
	req.instance = c.lives[req.to]
	c.mu.Unlock()
	req.at = time.Now()
	sealed, id := state.requests.seal(state.requests.first, nil, req.encode())
	got, err := state.post(ctx, req.to, req.name, sealed)
	if err != nil {
		return nil, false, unreachable(req.to, req.name, err)
	}
	plain, answered, by, ok := state.answers.open(id[:], got)
	if !ok || len(plain) == 0 {
		return nil, false, unreachable(req.to, req.name, fmt.Errorf("its answer is not one"))
	}
	state.answers.hear(by, answered.count(), req.at) // saves the derivation next time
	return c.read(req, plain)
}

// read tells what an answer says.
func (c *Client) read(req request, plain []byte) (answer []byte, again bool, err error) {
	kind, rest := plain[0], plain[1:]
	switch {
	case kind == success:
		return rest, false, nil
	case kind == meet && len(rest) == instanceSize:
		c.mu.Lock()
		c.lives[req.to] = instance(rest)
		c.mu.Unlock()
		return nil, true, nil
	case kind == failed:
		if failure, ok := parseFailure(rest); ok {
			return nil, false, failure
		}
	}
	return nil, false, unreachable(req.to, req.name, fmt.Errorf("its answer is of another version"))
}

// post sends a sealed request and returns the sealed answer.
func (s *clientState) post(ctx context.Context, to netip.Addr, name string, sealed []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url(to, name), bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	// Not sent: it lets a request begin anew whose idle connection was being
	// closed. Had the node served it, it would refuse the second one.
	r.Header["Idempotency-Key"] = nil
	answer, err := s.http.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %d: compare cluster_key, internal_addrs and the clocks of both nodes", answer.StatusCode)
	}
	const most = headerSize + 1 + MaxAnswer + tagSize
	if answer.ContentLength < 0 || answer.ContentLength > most {
		return nil, fmt.Errorf("it answers %s bytes", strconv.FormatInt(answer.ContentLength, 10))
	}
	body := make([]byte, answer.ContentLength)
	_, err = io.ReadFull(answer.Body, body)
	return body, err
}

func unreachable(to netip.Addr, name string, err error) error {
	return fmt.Errorf("%w: %s to %s: %w", ErrUnreachable, name, to, err)
}
