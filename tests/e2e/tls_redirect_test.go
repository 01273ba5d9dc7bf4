//go:build e2e

package e2e

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// redirects checks where plain requests are sent.
func (p *place) redirects(t *testing.T) {
	t.Helper()
	for _, tt := range []struct {
		at               netip.AddrPort
		host, path, want string // want "": refused
	}{
		{p.apiAt(), "10.99.0.1:8000", "/v3/health/?a=b%20c&d=%2F", "https://10.99.0.1:8000/v3/health/?a=b%20c&d=%2F"},
		{p.apiAt(), "desk.example.com:8000", "/swagger/index.html", "https://desk.example.com:8000/swagger/index.html"},
		{p.apiAt(), "desk.example.com", "/a%2Fb/c?", "https://desk.example.com/a%2Fb/c?"},
		{netip.AddrPortFrom(p.gate.Addr6(), node.APIPort), "[fd99::1]:8000", "/", "https://[fd99::1]:8000/"},
		{p.apiAt(), "10.99.0.1:8000", "//evil.example.com/", ""},
		{p.apiAt(), "10.99.0.1:8000", "/v3/connect/?token=x", "https://10.99.0.1:8000/v3/connect/?token=x"},
		{p.statsAt(), "10.99.0.1:8003", "/metrics?name[]=x", "https://10.99.0.1:8003/metrics?name[]=x"},
		{p.apiAt(), "", "/livez", ""},
	} {
		if !lab.IPv6() && tt.at.Addr().Is6() {
			continue
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			c := keepAlive(t, p.client, tt.at)
			status, header := c.ask(t, method, tt.path, tt.host)
			got := header.Get("Location")
			if tt.want == "" && (status != http.StatusBadRequest || got != "") {
				t.Errorf("%s %s of %q: got %d to %q, want 400", method, tt.path, tt.host, status, got)
			}
			if tt.want != "" && (status != http.StatusTemporaryRedirect || got != tt.want) {
				t.Errorf("%s %s of %s: got %d to %q, want 307 to %q", method, tt.path, tt.host, status, got, tt.want)
			}
			if header.Get("Strict-Transport-Security") != "" {
				t.Errorf("%s %s: got Strict-Transport-Security without TLS, want none", method, tt.path)
			}
		}
	}
}

// line is a plain HTTP connection that stays.
type line struct {
	net.Conn
	reader *bufio.Reader
}

func keepAlive(t *testing.T, h *lab.Host, at netip.AddrPort) line {
	t.Helper()
	c, err := h.Dial(netip.Addr{}, at, quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return line{c, bufio.NewReader(c)}
}

// ask sends a request with these very words and reads the answer; host "": with
// HTTP/1.0, which needs none.
func (l line) ask(t *testing.T, method, path, host string) (int, http.Header) {
	t.Helper()
	_ = l.SetDeadline(time.Now().Add(patience))
	head := method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n"
	if host == "" {
		head = method + " " + path + " HTTP/1.0\r\n\r\n"
	}
	if _, err := l.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(l.reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	for buf := make([]byte, 512); err == nil; {
		_, err = resp.Body.Read(buf)
	}
	return resp.StatusCode, resp.Header
}

func (l line) wantStatus(t *testing.T, want int) {
	t.Helper()
	if got, _ := l.ask(t, http.MethodGet, "/livez", "10.99.0.1:8000"); got != want {
		t.Errorf("GET /livez on a connection of before: got %d, want %d", got, want)
	}
}
