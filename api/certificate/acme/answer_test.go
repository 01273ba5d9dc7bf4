package acme

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"

// challenge is put into the store as certmagic does when the authority is asked.
func (n *member) challenge(t *testing.T, cfg Config) {
	t.Helper()
	n.put(t, "acme/"+strings.ReplaceAll(issuerKey(cfg.Directory), ":", "-")+"/challenge_tokens/"+cfg.Name+".json",
		`{"type":"http-01","token":"`+token+`","keyAuthorization":"`+token+`.thumb","identifier":{"type":"dns","value":"`+cfg.Name+`"}}`)
}

// ask asks a node in the words of HTTP.
func ask(t *testing.T, addr netip.AddrPort, text string) *http.Response {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%.60q: got %v, want an answer", text, err)
	}
	return resp
}

func get(host, target string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host)
}

func (n *member) listening(t *testing.T) {
	t.Helper()
	eventually(t, "challenges are answered", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.open
	})
}

func TestEveryNodeAnswersChallenges(t *testing.T) {
	a, b, cfg := pair(t)
	a.run(t)
	b.run(t)
	a.challenge(t, cfg)
	for _, n := range []*member{a, b} {
		n.listening(t)
		addr := n.Status().Config.Listen
		eventually(t, "the challenge is answered", func() bool {
			resp := ask(t, addr, get(cfg.Name, challengePath+token))
			body, err := io.ReadAll(resp.Body)
			return err == nil && resp.StatusCode == http.StatusOK && string(body) == token+".thumb"
		})
	}
	for name, request := range map[string]string{
		"another token":      get(cfg.Name, challengePath+"another"),
		"another name":       get("other.example", challengePath+token),
		"the folder":         get(cfg.Name, challengePath),
		"a way out":          get(cfg.Name, challengePath+"../../../etc/passwd"),
		"a name with a way":  get("../../x", challengePath+token),
		"another method":     "POST " + challengePath + token + " HTTP/1.1\r\nHost: " + cfg.Name + "\r\nContent-Length: 0\r\n\r\n",
		"an absolute target": get(cfg.Name, "http://other.example"+challengePath+token),
	} {
		if resp := ask(t, cfg.Listen, request); resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %s, want 404", name, resp.Status)
		}
	}
}

func TestEverythingElseIsSentToHTTPS(t *testing.T) {
	n, cfg := newMember(t), config(t)
	n.Apply(cfg)
	n.run(t)
	n.listening(t)
	for request, want := range map[string]string{
		get("desk.example", "/a/b?c=d%2Fe"):    "https://desk.example:8000/a/b?c=d%2Fe",
		get("DESK.example:80", "/"):            "https://DESK.example:8000/",
		get("10.0.0.1", "/%2e%2e/x"):           "https://10.0.0.1:8000/%2e%2e/x",
		get("[fd00::1]:80", "/"):               "https://[fd00::1]:8000/",
		get("", "/"):                           "https://desk.example:8000/",
		get("a_b.example", "/"):                "https://desk.example:8000/",
		get("desk.example", "//evil.example/"): "https://desk.example:8000//evil.example/",
		get("desk.example", "http://x.y/z"):    "https://x.y:8000/z",
		get("desk.example", "/.well-known/x"):  "https://desk.example:8000/.well-known/x",
		"PUT /x HTTP/1.1\r\nHost: a\r\n\r\n":   "https://a:8000/x",
	} {
		resp := ask(t, cfg.Listen, request)
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusTemporaryRedirect || got != want {
			t.Errorf("%.40q: got %s to %q, want 307 to %q", request, resp.Status, got, want)
		}
		if !resp.Close {
			t.Errorf("%.40q: the connection stays open", request)
		}
	}
	cfg.HTTPS = 443
	n.Apply(cfg)
	n.listening(t)
	if got := ask(t, cfg.Listen, get("desk.example", "/")).Header.Get("Location"); got != "https://desk.example/" {
		t.Errorf("port 443: got %q, want it left out", got)
	}
}

func TestGarbageEnds(t *testing.T) {
	n, cfg := newMember(t), config(t)
	n.Apply(cfg)
	n.run(t)
	n.listening(t)
	for name, text := range map[string]string{
		"TLS":             "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"nothing of HTTP": "hello\r\n\r\n",
		"a large header":  "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"half a request":  "GET / HTTP/1.1\r\nHost: x\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.DialTimeout("tcp", cfg.Listen.String(), patience)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(headerTime + patience))
			_, _ = io.WriteString(c, text) // it may be closed meanwhile
			answer, _ := io.ReadAll(c)
			if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 4") {
				t.Errorf("got %.60q, want a refusal or nothing", answer)
			}
		})
	}
}

// A port that is taken is a fault that passes.
func TestAPortThatIsTakenIsTriedAgain(t *testing.T) {
	n, cfg := newMember(t), config(t)
	l, err := net.Listen("tcp", cfg.Listen.String())
	if err != nil {
		t.Fatal(err)
	}
	n.active.Store(true)
	n.Apply(cfg)
	n.run(t)
	eventually(t, "the fault is told", func() bool { return n.Status().Port != nil })
	if err := n.Status().Port; !strings.Contains(err.Error(), cfg.Listen.String()) {
		t.Errorf("got %v, want the address in it", err)
	}
	if s := n.Status(); s.Err != nil {
		t.Errorf("got %v, want nobody asked whose challenge cannot be answered", s.Err)
	}
	_ = l.Close()
	n.listening(t)
	if err := n.Status().Port; err != nil {
		t.Errorf("free again: got %v, want no fault", err)
	}
	moved := cfg
	moved.Listen = freeAddr(t)
	n.Apply(moved)
	n.listening(t)
	eventually(t, "the former port is closed", func() bool {
		c, err := net.DialTimeout("tcp", cfg.Listen.String(), patience)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
}
