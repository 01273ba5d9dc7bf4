package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// call is one request to a node's API. Zero values: GET, no body, the
// dispatcher's key, from whatever address the system chooses.
type call struct {
	path    string
	body    any // posted as JSON; []byte as it is
	key     string
	port    int // of the API, when it has moved
	from    netip.Addr
	ifMatch string
}

// reply is the answer to a call.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (n *child) try(c call) (reply, error) {
	port := testAPIPort
	if c.port != 0 {
		port = c.port
	}
	url := "http://" + netip.AddrPortFrom(n.addr, uint16(port)).String() + c.path
	method, payload := http.MethodGet, io.Reader(http.NoBody)
	switch body := c.body.(type) {
	case nil:
	case []byte:
		method, payload = http.MethodPost, bytes.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return reply{}, err
		}
		method, payload = http.MethodPost, bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, url, payload)
	if err != nil {
		return reply{}, err
	}
	key := c.key
	if key == "" {
		key = testAPIKey
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	if c.ifMatch != "" {
		req.Header.Set("If-Match", c.ifMatch)
	}
	dialer := &net.Dialer{Timeout: testPatience}
	if c.from.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: c.from.AsSlice()}
	}
	client := http.Client{Timeout: testPatience, Transport: &http.Transport{
		DialContext: dialer.DialContext, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // a node with TLS sends us there
	}}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, text}, err
}

// call makes a call that must be answered with status.
func (n *child) call(tb testing.TB, status int, c call) reply {
	tb.Helper()
	r, err := n.try(c)
	if err != nil {
		tb.Fatal(err)
	}
	if r.status != status {
		tb.Fatalf("%s: got status %d %s, want %d", c.path, r.status, r.body, status)
	}
	return r
}

// into decodes the body of a reply.
func into[T any](tb testing.TB, r reply) T {
	tb.Helper()
	var v T
	if err := json.Unmarshal(r.body, &v); err != nil {
		tb.Fatalf("%v: %s", err, r.body)
	}
	return v
}

func toJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// refusal is the first error of an answer.
func (r reply) refusal(tb testing.TB) (code, message string) {
	tb.Helper()
	answer := into[apiError](tb, r)
	if len(answer.Errors) == 0 {
		tb.Fatalf("no errors in %s", r.body)
	}
	return answer.Errors[0].Code, answer.Errors[0].Message
}

// changed is the answer of change_settings.
type changed struct {
	Applied    bool
	Revision   int64
	Changed    []string
	Nodes      map[string]string
	RollbackAt *time.Time `json:"rollback_at"`
	WouldEnd   []string   `json:"would_end"`
}

// change posts a change that must be taken.
func (n *child) change(tb testing.TB, query string, document keys) changed {
	tb.Helper()
	return into[changed](tb, n.call(tb, 200, call{path: "/v3/change_settings/" + query, body: document}))
}

// settings reads the document and its revision.
func (n *child) settings(tb testing.TB) (keys, int64) {
	tb.Helper()
	r := n.call(tb, 200, call{path: "/v3/get_settings/"})
	revision, err := strconv.ParseInt(r.header.Get("ETag")[1:len(r.header.Get("ETag"))-1], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return into[keys](tb, r), revision
}

// tunnel is a reserved port.
type tunnel struct {
	ID       string `json:"connection_id"`
	Token    string
	Password string
	Address  string
	Port     int
}

// open reserves a tunnel to vm.
func (n *child) open(tb testing.TB, vm *net.TCPAddr, more keys) tunnel {
	tb.Helper()
	return n.openFrom(tb, netip.Addr{}, vm, more)
}

func (n *child) openFrom(tb testing.TB, from netip.Addr, vm *net.TCPAddr, more keys) tunnel {
	tb.Helper()
	body := keys{"vm_address": vm.IP.String(), "vm_port": vm.Port, "probe": false}
	for k, v := range more {
		body[k] = v
	}
	return into[tunnel](tb, n.call(tb, 201, call{path: "/v3/open_connection/", body: body, key: testCLIKey, from: from}))
}

// session is a client's connection through a tunnel.
type session struct{ net.Conn }

// dial connects to a tunnel.
func (t tunnel) dial(tb testing.TB, from netip.Addr) session {
	tb.Helper()
	dialer := &net.Dialer{Timeout: testPatience}
	if from.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	c, err := dialer.Dial("tcp", net.JoinHostPort(t.Address, strconv.Itoa(t.Port)))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return session{c}
}

// connect opens a tunnel to vm and a session through it that has echoed.
func (n *child) connect(tb testing.TB, vm *net.TCPAddr, more keys) (tunnel, session) {
	tb.Helper()
	t := n.open(tb, vm, more)
	s := t.dial(tb, netip.Addr{})
	s.mustLive(tb)
	return t, s
}

// echo sends a text to the VM and reads it back.
func (s session) echo(text string) error {
	if err := s.SetDeadline(time.Now().Add(testPatience)); err != nil {
		return err
	}
	if _, err := io.WriteString(s, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(s, got); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("got %q back, want %q", got, text)
	}
	return nil
}

func (s session) mustLive(tb testing.TB) {
	tb.Helper()
	if err := s.echo("x"); err != nil {
		tb.Fatalf("the session does not live: %v", err)
	}
}

// mustEnd waits for the gateway to close the session.
func (s session) mustEnd(tb testing.TB) {
	tb.Helper()
	if err := s.SetDeadline(time.Now().Add(testPatience)); err != nil {
		tb.Fatal(err)
	}
	n, err := s.Read(make([]byte, 1))
	if timeout, ok := err.(net.Error); n > 0 || ok && timeout.Timeout() { //nolint:errorlint // net's own
		tb.Fatalf("got %d bytes and %v, want the session's end", n, err)
	}
}
