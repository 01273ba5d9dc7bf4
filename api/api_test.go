package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"vdi-gateway/gateway"
)

const (
	apiKey = "dispatcher-key-of-the-tests-0123456789"
	cliKey = "client-key-of-the-tests-9876543210"
	// soon bounds what happens at once; slack for a busy machine.
	soon = 10 * time.Second
)

func TestMain(m *testing.M) {
	// Nodes with TLS send the tests' requests to https; their certificates are their own.
	http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	goleak.VerifyTestMain(m)
}

// node is a server on loopback with a real gateway behind it.
type node struct {
	t        *testing.T
	server   *Server
	gateway  *gateway.Gateway
	settings *settings
	health   Health
	ready    bool
	held     string // what failover answers
	refusal  error
	base     string // http://127.0.0.1:PORT
	addr     string
	log      *logBuffer
	stop     func()
}

// logBuffer is where a node's log goes.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// config of a test node; change it before or with Apply.
func config() Config {
	return Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		APIKey: apiKey, ClientKey: cliKey, Node: netip.MustParseAddr("127.0.0.1"), Compression: true,
	}
}

func gatewayConfig() gateway.Config {
	return gateway.Config{
		Enabled: true, Node: netip.MustParseAddr("127.0.0.1"), Listen: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
		PublicAddr: "vdi.example.com", PortStart: 21000, PortStop: 21999,
		Timeouts: gateway.Timeouts{Grant: time.Minute, Dial: 3 * time.Second, HalfClose: 10 * time.Second},
		Targets: gateway.Targets{Allow: []gateway.Target{{
			Prefix: netip.MustParsePrefix("127.0.0.1/32"), Ports: []gateway.PortRange{{First: 1, Last: 65535}},
		}}},
	}
}

// newNode starts a node. configure may be nil.
func newNode(t *testing.T, configure func(*Config, *gateway.Config)) *node {
	t.Helper()
	return newNodeWith(t, func(*Deps) {}, configure)
}

// newNodeWith is newNode with more dependencies.
func newNodeWith(t *testing.T, extend func(*Deps), configure func(*Config, *gateway.Config)) *node {
	t.Helper()
	n := &node{t: t, log: &logBuffer{}, settings: newSettings(t), ready: true}
	n.health = Health{Status: "ok", Node: "127.0.0.1", Version: "1.2.3-test", Role: "none"}
	log := logrus.New()
	log.SetOutput(n.log)
	log.SetLevel(logrus.TraceLevel)
	n.gateway = gateway.New(gateway.Deps{Tickets: newTickets(), Log: log})
	deps := Deps{
		Gateway: n.gateway, Settings: n.settings, Version: "1.2.3-test", Log: log,
		Health:   func(context.Context) Health { return n.health },
		Ready:    func() bool { return n.ready },
		Drain:    n.drain,
		Failover: func(context.Context) (string, error) { return n.held, n.refusal },
	}
	extend(&deps)
	n.server = New(deps)
	cfg, gcfg := config(), gatewayConfig()
	if configure != nil {
		configure(&cfg, &gcfg)
	}
	n.run(cfg, gcfg)
	return n
}

func (n *node) run(cfg Config, gcfg gateway.Config) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = n.gateway.Run(ctx) })
	parts.Go(func() {
		if err := n.server.Run(ctx); err != nil {
			n.t.Errorf("Run: %v", err)
		}
	})
	n.stop = sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		parts.Wait()
	})
	n.t.Cleanup(n.stop)
	if err := n.gateway.Apply(gcfg); err != nil {
		n.t.Fatal(err)
	}
	if err := n.server.Apply(cfg); err != nil {
		n.t.Fatal(err)
	}
	n.addr = n.server.Addrs()[0].String()
	n.base = "http://" + n.addr
	if n.server.deps.TLS != nil {
		n.base = "https://" + n.addr
	}
}

func (n *node) drain(_ context.Context, node string, on bool) error {
	if node != "" && node != "127.0.0.1" {
		return ErrNoSuchNode
	}
	n.gateway.SetDrain(on)
	return nil
}

// answer is what came back of a call.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call sends body as it is, with the headers given as "Name: value".
func (n *node) call(method, path, body string, headers ...string) answer {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.base+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	return n.do(req)
}

func (n *node) do(req *http.Request) answer {
	n.t.Helper()
	client := http.Client{
		Timeout:       soon,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return answer{n.t, resp.StatusCode, resp.Header, text}
}

// api calls as the dispatcher, cli as the client.
func (n *node) api(method, path, body string, headers ...string) answer {
	n.t.Helper()
	return n.call(method, path, body, append(headers, "Authorization: Bearer "+apiKey)...)
}

func (n *node) cli(method, path, body string, headers ...string) answer {
	n.t.Helper()
	return n.call(method, path, body, append(headers, "Authorization: Bearer "+cliKey)...)
}

// into decodes the answer; it fails the test when it is not wanted's status.
func (a answer) into(wanted int, dst any) {
	a.t.Helper()
	if a.status != wanted {
		a.t.Fatalf("got status %d, want %d: %s", a.status, wanted, a.body)
	}
	if err := json.Unmarshal(a.body, dst); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
}

func (a answer) errors() errorBody {
	a.t.Helper()
	var body errorBody
	a.into(a.status, &body)
	return body
}

// fields are the fields that an answer blames, in order.
func (a answer) fields() []string {
	a.t.Helper()
	names := []string{}
	for _, e := range a.errors().Errors {
		names = append(names, e.Field)
	}
	return names
}

// is fails the test unless the answer has this status and first code.
func (a answer) is(status int, code string) {
	a.t.Helper()
	if a.status != status || a.errors().Errors[0].Code != code {
		a.t.Errorf("got %d %s, want %d %s", a.status, a.body, status, code)
	}
	if a.errors().RequestID == "" || a.errors().RequestID != a.header.Get("X-Request-Id") {
		a.t.Errorf("got request_id %q, want that of the header, %q", a.errors().RequestID, a.header.Get("X-Request-Id"))
	}
}

// vm is a TCP server that answers with what it hears.
func vm(t *testing.T) netip.AddrPort {
	t.Helper()
	return vmDoing(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

func vmDoing(t *testing.T, each func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				stop := context.AfterFunc(t.Context(), func() { _ = c.Close() })
				defer stop()
				each(c)
			})
		}
	})
	t.Cleanup(func() { // the context of t has ended by now
		_ = l.Close()
		conns.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// eventually waits until what is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", soon, what)
		}
	}
}
