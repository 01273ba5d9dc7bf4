package api

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bodied are the operations that read a body.
var bodied = []string{
	"/v3/open_connection/", "/v3/connect/", "/v3/close_connection/", "/v3/change_settings/",
	"/v3/confirm_settings/", "/v3/disconnect/", "/v3/tickets/", "/v3/drain/", "/v3/failover/", "/console/session", "/console/resume",
}

// holder calls a path with the key it asks for.
func (n *node) holder(path, body string, headers ...string) answer {
	n.t.Helper()
	switch path {
	case "/v3/open_connection/", "/v3/connect/", "/v3/close_connection/":
		return n.cli("POST", path, body, headers...)
	default:
		return n.api("POST", path, body, headers...)
	}
}

func TestBodies(t *testing.T) {
	n := newNode(t, nil)
	big := `{"a":"` + strings.Repeat("x", maxBody) + `"}`
	for _, path := range bodied {
		for _, tt := range []struct {
			name, body string
			headers    []string
			status     int
			code       string
		}{
			{"not JSON", `{"vm_address":`, nil, 400, "BAD_JSON"},
			{"a list", `[]`, nil, 400, "BAD_JSON"},
			{"null", `null`, nil, 400, "BAD_JSON"},
			{"a text", `"x"`, nil, 400, "BAD_JSON"},
			{"two objects", `{}{}`, nil, 400, "BAD_JSON"},
			{"invalid UTF-8", "{\"user\":\"\xff\"}", nil, 400, "BAD_JSON"},
			{"deep", strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), nil, 400, "BAD_JSON"},
			{"an unknown field", `{"no_such_field":1}`, nil, 422, "VALIDATION"},
			{"a form", `a=b`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
			{"a text type", `{}`, []string{"Content-Type: text/json"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
			{"another charset", `{}`, []string{"Content-Type: application/json; charset=latin1"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
			{"a broken type", `{}`, []string{"Content-Type: ;;;"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
			{"no type", `{"no_such_field":1}`, []string{"Content-Type: "}, 422, "VALIDATION"},
			{"with charset", `{"no_such_field":1}`, []string{"Content-Type: application/json; charset=UTF-8"}, 422, "VALIDATION"},
			{"over 64 KiB", big, nil, 413, "TOO_LARGE"},
		} {
			t.Run(path+" "+tt.name, func(t *testing.T) {
				n.holder(path, tt.body, tt.headers...).is(tt.status, tt.code)
			})
		}
	}
}

func TestUnknownFieldsAreNamed(t *testing.T) {
	n := newNode(t, nil)
	got := n.cli("POST", "/v3/open_connection/", `{"vm_addr":"10.0.0.1","vm_port":5900,"extra":{"a":1}}`).fields()
	if diff := cmp.Diff([]string{"vm_addr", "extra", "vm_address"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestABodyOf64KiBIsRead(t *testing.T) {
	n := newNode(t, nil)
	frame := `{"user":""}`
	body := `{"user":"` + strings.Repeat("x", maxBody-len(frame)) + `"}`
	n.cli("POST", "/v3/open_connection/", body).is(422, "VALIDATION")
	n.cli("POST", "/v3/open_connection/", body+" ").is(413, "TOO_LARGE")
}

func TestAnOversizedChunkedBody(t *testing.T) {
	n := newNode(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), "POST", n.base+"/v3/tickets/",
		io.MultiReader(strings.NewReader(`{"user":"`), bytes.NewReader(make([]byte, 2*maxBody))))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", apiKey)
	if req.ContentLength > 0 {
		t.Fatalf("got a length of %d, want the body chunked", req.ContentLength)
	}
	n.do(req).is(413, "TOO_LARGE")
}

func TestABodyThatIsOnlyAnnounced(t *testing.T) {
	n := newNode(t, nil)
	conn := n.dial()
	fmt.Fprintf(conn, "POST /v3/tickets/ HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: 1000000000\r\n\r\n", apiKey)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("got %d, want 413 without reading a gigabyte", resp.StatusCode)
	}
}

// dial opens a bare connection that ends with the test.
func (n *node) dial() net.Conn {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	return n.spoken(conn)
}

// spoken is a connection as the node wants it to be spoken over.
func (n *node) spoken(wire net.Conn) net.Conn {
	if n.server.deps.TLS == nil {
		return wire
	}
	return tls.Client(wire, &tls.Config{InsecureSkipVerify: true})
}

// wireOf is what c is spoken over.
func wireOf(c net.Conn) *net.TCPConn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return c.(*net.TCPConn)
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	for _, tt := range []struct {
		name, sent string
		within     time.Duration
	}{
		{"half a header", "GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ", headerTime},
		{"nothing at all", "", headerTime},
		{"half a body", "POST /v3/drain/ HTTP/1.1\r\nHost: x\r\nX-API-Key: " + apiKey + "\r\nContent-Length: 9\r\n\r\n{", readTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn := n.dial()
			began := time.Now()
			if _, err := io.WriteString(conn, tt.sent); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, conn) // whatever it says, it must end
			if took := time.Since(began); took < tt.within/2 || took > 3*tt.within {
				t.Errorf("cut off after %s, want about %s", took, tt.within)
			}
		})
	}
}

func TestLargeHeaders(t *testing.T) {
	n := newNode(t, nil)
	got := n.call("GET", "/livez", "", "X-Large: "+strings.Repeat("x", 2*maxHeader))
	if got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d, want 431", got.status)
	}
}

func TestRequestIDs(t *testing.T) {
	n := newNode(t, nil)
	for _, tt := range []struct {
		name, sent string
		echoed     bool
	}{
		{"none", "", false},
		{"a uuid", "0f8fad5b-d9cb-469f-a165-70867728950e", true},
		{"128 characters", strings.Repeat("~", 128), true},
		{"129 characters", strings.Repeat("~", 129), false},
		{"a blank inside", "a b", false},
		{"not ASCII", "é", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"/livez", "/v3/health/", "/nowhere"} {
				got := n.call("GET", path, "", "X-Request-Id: "+tt.sent).header.Get("X-Request-Id")
				if got == "" || (got == tt.sent) != tt.echoed {
					t.Errorf("%s: got %q, echoed should be %t", path, got, tt.echoed)
				}
			}
		})
	}
}

func TestPathsAndMethods(t *testing.T) {
	n := newNode(t, nil)
	for _, tt := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/", 404, "NOT_FOUND", ""},
		{"GET", "/v3", 404, "NOT_FOUND", ""},
		{"GET", "/v3/", 404, "NOT_FOUND", ""},
		{"GET", "/v3/nothing/", 404, "NOT_FOUND", ""},
		{"GET", "/v3/health/x", 404, "NOT_FOUND", ""},
		{"GET", "/v2/health/", 404, "NOT_FOUND", ""},
		{"GET", "/swagger/nothing.js", 404, "NOT_FOUND", ""},
		{"GET", "/swagger/doc.yaml", 404, "NOT_FOUND", ""},
		{"GET", "/swagger/../../etc/passwd", 404, "NOT_FOUND", ""},
		{"GET", "/swagger/%2e%2e/%2e%2e/etc/passwd", 404, "NOT_FOUND", ""},
		{"POST", "/v3/health/", 405, "METHOD_NOT_ALLOWED", "GET"},
		{"DELETE", "/v3/health", 405, "METHOD_NOT_ALLOWED", "GET"},
		{"GET", "/v3/open_connection/", 405, "METHOD_NOT_ALLOWED", "POST"},
		{"PUT", "/v3/change_settings/", 405, "METHOD_NOT_ALLOWED", "POST"},
		{"PATCH", "/v3/connect/", 405, "METHOD_NOT_ALLOWED", "POST"},
		{"POST", "/livez", 405, "METHOD_NOT_ALLOWED", "GET"},
		{"POST", "/swagger/doc.json", 405, "METHOD_NOT_ALLOWED", "GET"},
		{"GET", "//example.com/%2F..", 400, "BAD_REQUEST", ""},
		{"GET", "///", 400, "BAD_REQUEST", ""},
		{"GET", "/v3//health/", 400, "BAD_REQUEST", ""},
		{"GET", "/%2Fexample.com/", 400, "BAD_REQUEST", ""},
		{"GET", "//console/", 400, "BAD_REQUEST", ""},
		{"GET", "//example.com/console", 400, "BAD_REQUEST", ""},
		{"GET", "/console//", 400, "BAD_REQUEST", ""},
		{"PUT", "/console/session", 405, "METHOD_NOT_ALLOWED", "POST"},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := n.call(tt.method, tt.path, "", "X-API-Key: "+apiKey)
			got.is(tt.status, tt.code)
			if allow := got.header.Get("Allow"); !strings.Contains(allow, tt.allow) || tt.allow == "" && allow != "" {
				t.Errorf("got Allow %q, want %q in it", allow, tt.allow)
			}
		})
	}
}

func TestHeadersOfAllAnswers(t *testing.T) {
	n := newNode(t, nil)
	for path, store := range map[string]string{
		"/v3/health/": "no-store", "/v3/nothing": "no-store", "/livez": "", "/swagger/index.html": "",
		"/console": "no-store", "/console/": "no-store", "/console/nothing": "no-store", "/console/session": "no-store",
	} {
		got := n.api("GET", path, "")
		if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Referrer-Policy") != "no-referrer" || got.header.Get("Cache-Control") != store {
			t.Errorf("%s: got %v, want nosniff and Cache-Control %q", path, got.header, store)
		}
	}
}

func TestCompression(t *testing.T) {
	n := newNode(t, nil)
	n.health.Checks = []Check{{Name: strings.Repeat("long ", 1000)}}
	for _, tt := range []struct {
		path string
		zip  bool
	}{
		{"/v3/health/", true},
		{"/swagger/doc.json", true},
		{"/swagger/swagger-ui.css", true},
		{"/v3/get_settings/", false}, // keys
		{"/livez", false},            // too small
	} {
		got := n.api("GET", tt.path, "", "Accept-Encoding: gzip").header.Get("Content-Encoding")
		if (got == "gzip") != tt.zip {
			t.Errorf("%s: got Content-Encoding %q, want gzip: %t", tt.path, got, tt.zip)
		}
	}
	cfg := config()
	cfg.Compression = false
	if err := n.server.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	if got := n.api("GET", "/v3/health/", "", "Accept-Encoding: gzip").header.Get("Content-Encoding"); got != "" {
		t.Errorf("compression off: got Content-Encoding %q", got)
	}
}

// TestNothingSecretIsCompressed keeps operations that answer tokens, tickets
// or keys from being marked for compression.
func TestNothingSecretIsCompressed(t *testing.T) {
	n := newNode(t, nil)
	secret := []string{"/v3/open_connection/", "/v3/connect/", "/v3/close_connection/", "/v3/get_settings/", "/v3/change_settings/", "/v3/tickets/", "/console/session", "/console/resume"}
	for _, op := range n.server.operations() {
		for _, name := range secret {
			if op.path == name && op.zip {
				t.Errorf("%s %s may be compressed", op.method, op.path)
			}
		}
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	n := newNode(t, nil)
	n.settings.refuse = nil
	n.server.deps.Settings = panicking{n.settings}
	got := n.api("GET", "/v3/get_settings/", "", "X-Request-Id: find-me")
	got.is(500, "INTERNAL")
	if strings.Contains(string(got.body), "at the worst moment") {
		t.Errorf("the answer tells of the inside: %s", got.body)
	}
	text := n.log.String()
	for _, want := range []string{"level=error", "find-me", "at the worst moment", "settings.go"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the log:\n%s", want, text)
		}
	}
	n.call("GET", "/livez", "") // it goes on
}
