package certificate

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// port is a port of a node: its Keeper, and a server that tells what it was asked.
type port struct {
	addr   string
	keeper *Keeper
	http   *http.Server
}

// acceptor makes connections of a listener those of a Keeper.
type acceptor struct {
	net.Listener
	keeper *Keeper
}

// Accept waits for a client.
func (a acceptor) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return a.keeper.Accept(c), nil
}

const headTime = 300 * time.Millisecond

func newPort(t testing.TB, cfg Config) *port {
	t.Helper()
	k, _ := newKeeper(t, Deps{})
	if err := k.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{addr: l.Addr().String(), keeper: k}
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s tls=%t %s", r.URL.RequestURI(), r.TLS != nil, body)
	})
	p.http = &http.Server{
		Handler:     k.Secured(answer, func(r *http.Request) bool { return r.URL.Path == "/plain" }),
		ConnContext: ConnContext, ReadHeaderTimeout: headTime,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.http.Serve(acceptor{l, k}); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() { _ = p.http.Close(); <-done })
	return p
}

func (p *port) client(secure *tls.Config) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// believing is what a client has that was told the self-signed certificate.
func (p *port) believing() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(p.keeper.Status().Pair.Leaf)
	return &tls.Config{RootCAs: pool}
}

func get(t testing.TB, c *http.Client, url string) (string, *http.Response) {
	t.Helper()
	resp, err := c.Get(url) //nolint:noctx // of a test
	if err != nil {
		return err.Error(), nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body), resp
}

func enabled() Config {
	return Config{Enabled: true, Names: []string{"127.0.0.1"}, Secrets: []string{"shared"}}
}

func TestOnePortSpeaksBoth(t *testing.T) {
	p := newPort(t, enabled())
	if got, resp := get(t, p.client(p.believing()), "https://"+p.addr+"/a?b=c"); got != "/a?b=c tls=true " || resp.Proto != "HTTP/1.1" {
		t.Errorf("https: got %q", got)
	} else if resp.Header.Get("Strict-Transport-Security") != "" {
		t.Error("a self-signed certificate promises https for a year")
	}
	got, resp := get(t, p.client(nil), "http://"+p.addr+"/a?b=c")
	if resp == nil || resp.StatusCode != http.StatusTemporaryRedirect || resp.Header.Get("Location") != "https://"+p.addr+"/a?b=c" {
		t.Errorf("http: got %q, %v, want a redirect", got, resp)
	}
	if got, _ := get(t, p.client(nil), "http://"+p.addr+"/plain"); got != "/plain tls=false " {
		t.Errorf("an allowed request: got %q", got)
	}
	// TLS off: the same connection keeps working, and TLS is for nodes only.
	off := enabled()
	off.Enabled = false
	if err := p.keeper.Apply(off); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, p.client(nil), "http://"+p.addr+"/a"); got != "/a tls=false " {
		t.Errorf("http, TLS off: got %q", got)
	}
	if got, resp := get(t, p.client(&tls.Config{InsecureSkipVerify: true}), "https://"+p.addr+"/a"); resp != nil { //nolint:gosec // must fail
		t.Errorf("https, TLS off: got %q, want no answer", got)
	}
	if got, _ := get(t, p.client(Member("shared")), "https://"+p.addr+"/a"); got != "/a tls=true " {
		t.Errorf("a node, TLS off: got %q", got)
	}
}

func TestACertificateOfAnAuthorityPromisesHTTPS(t *testing.T) {
	f := newFiles(t)
	f.fill(t, newAuthority(t), "desk.example", -hour, hour)
	p := newPort(t, f.config())
	_, resp := get(t, p.client(&tls.Config{InsecureSkipVerify: true}), "https://"+p.addr+"/") //nolint:gosec // of a test
	if resp == nil || !strings.HasPrefix(resp.Header.Get("Strict-Transport-Security"), "max-age=") {
		t.Errorf("got %v, want Strict-Transport-Security", resp)
	}
}

func TestARedirectNeedsAHost(t *testing.T) {
	p := newPort(t, enabled())
	for request, want := range map[string]string{
		"GET /x HTTP/1.0\r\n\r\n":                               "400 Bad Request",
		"GET //evil.example/%2e%2e HTTP/1.1\r\nHost: h\r\n\r\n": "Location: https://h//evil.example/%2e%2e\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n\r\n":                           "400 Bad Request",
		"\x80\x2e\x01\x00\x02\x00\x15\r\n\r\n":                  "400 Bad Request", // SSL 2
	} {
		if got := p.send(t, request); !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", request, got, want)
		}
	}
}

// send writes text and returns all that comes back.
func (p *port) send(t testing.TB, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	got, err := io.ReadAll(c)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%q: %v, want the connection to end", text, err)
	}
	return string(got)
}

func TestWhoDoesNotFinishAHandshakeIsCutOff(t *testing.T) {
	p := newPort(t, enabled())
	hello := recorded(t)
	for name, text := range map[string]string{
		"one byte of TLS":      hello[:1],
		"half a hello":         hello[:len(hello)/2],
		"a hello and no more":  hello,
		"a record of nonsense": "\x16\x03\x01\x00\x05nonsense",
		"an endless record":    "\x16\x03\x01\xff\xff" + strings.Repeat("x", 1000),
		"nothing":              "",
	} {
		began := time.Now()
		got := p.send(t, text)
		if strings.Contains(got, "HTTP") || time.Since(began) > headTime+2*time.Second {
			t.Errorf("%s: got %q after %s, want the end, and no words of HTTP", name, got, time.Since(began))
		}
	}
}

// recorded is what a client says first.
func recorded(t testing.TB) string {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(theirs, &tls.Config{ServerName: "x"}).HandshakeContext(context.Background()) //nolint:gosec // says hello only
	}()
	hello := make([]byte, 16<<10)
	n, err := ours.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	<-done
	return string(hello[:n])
}

func TestNodesKnowEachOtherByTheirSecret(t *testing.T) {
	cfg := enabled()
	cfg.Secrets, cfg.NoTLS13 = []string{"new", "former"}, true // which is for users
	p := newPort(t, cfg)
	for secret, want := range map[string]string{
		"new": "/x tls=true ", "former": "/x tls=true ", "other": "no node of this cluster",
	} {
		if secret == "other" { // it is shown what users see
			with13 := cfg
			with13.NoTLS13 = false
			if err := p.keeper.Apply(with13); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := get(t, p.client(Member(secret)), "https://"+p.addr+"/x"); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", secret, got, want)
		}
	}
	cfg.Secrets = []string{"new"}
	if err := p.keeper.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	if got, resp := get(t, p.client(Member("former")), "https://"+p.addr+"/x"); resp != nil {
		t.Errorf("a secret that is over: got %q, want no answer", got)
	}
}

// A client that resumes must not be spared the new certificate.
func TestANewCertificateEndsSessionTickets(t *testing.T) {
	f, a := newFiles(t), newAuthority(t)
	f.fill(t, a, "first", -hour, hour)
	p := newPort(t, f.config())
	secure := &tls.Config{InsecureSkipVerify: true, ServerName: "x", ClientSessionCache: tls.NewLRUClientSessionCache(4)} //nolint:gosec // of a test
	for i, want := range []struct {
		name    string
		resumed bool
	}{{"first", false}, {"first", true}, {"second", false}, {"second", true}} {
		if i == 2 {
			f.fill(t, a, "second", -hour, hour)
			p.keeper.refresh(time.Now())
		}
		_, resp := get(t, p.client(secure), "https://"+p.addr+"/")
		if resp == nil || resp.TLS.PeerCertificates[0].DNSNames[0] != want.name || resp.TLS.DidResume != want.resumed {
			t.Errorf("request %d: got %+v, want the %s certificate, resumed %t", i, resp, want.name, want.resumed)
		}
	}
}

// A client that reads nothing must not delay the end of a server.
func TestCloseDoesNotWaitForAClient(t *testing.T) {
	p := newPort(t, enabled())
	c, err := tls.Dial("tcp", p.addr, p.believing())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n")
	go func() { // its echo fills every buffer
		block := make([]byte, 1<<20)
		for range 50 {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}()
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	if err := p.http.Close(); err != nil || time.Since(began) > time.Second {
		t.Errorf("Close took %s, %v, want it at once", time.Since(began), err)
	}
}

func FuzzConn(f *testing.F) {
	p := newPort(f, enabled())
	f.Add([]byte(recorded(f)))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			c := p.keeper.Accept(theirs)
			_, _ = io.Copy(io.Discard, bufio.NewReader(c))
			_ = c.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		_ = ours.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = ours.Write(text)
		_ = ours.Close()
		<-done
	})
}
