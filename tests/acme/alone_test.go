package acme

import (
	"bufio"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

func TestANodeAlone(t *testing.T) {
	r := newRig(t, 1)
	r.start()
	// The authority is down: the node serves all the same.
	if c, err := shown(r.client, r.api, nil); err != nil || c.Subject.Organization[0] != "self-signed" {
		t.Errorf("before: got %v, want a self-signed certificate", err)
	}
	r.says(0, "acme", false, "issues no certificate", "connection refused", "next try at")
	r.says(0, "certificate", false, "issued no certificate yet")
	if out, err := r.command(0, "cert", "show"); err == nil || !strings.Contains(out+err.Error(), "issued no certificate yet") {
		t.Errorf("cert show: got %s, %v, want that there is none", out, err)
	}
	session := r.session()
	r.authority.start()
	first := r.served("the first certificate", nil)
	if got := first.DNSNames; len(got) != 1 || got[0] != name {
		t.Errorf("got a certificate for %q, want %s", got, name)
	}
	r.says(0, "acme", true, "this node asks", name)
	r.says(0, "certificate", true, name)
	r.echoes("the session after the first certificate", session)
	r.command0("shows it", "cert", "show")
	r.challengePort(r.client, netip.MustParseAddrPort(gateway+":80"))

	// By hand; and of an authority that knows its accounts no more.
	r.command0("asks", "cert", "renew")
	r.served("the second certificate", first)
	r.authority.stop()
	r.authority.start()
	r.command0("asks", "cert", "renew")
	r.served("a certificate of an authority that began anew", nil)
	r.echoes("the session in the end", session)
	if got := strings.Count(r.nodes[0].Log(), "the authority has issued a certificate"); got != 3 {
		t.Errorf("got %d certificates issued in the log, want 3", got)
	}
}

// command0 runs a command that has to succeed and say something.
func (r *rig) command0(want string, args ...string) {
	r.t.Helper()
	if out, err := r.command(0, args...); err != nil || !strings.Contains(out, want) {
		r.t.Errorf("%v: got %s, %v, want %q", args, out, err, want)
	}
}

// challengePort checks what the port does for those who are no authority.
func (r *rig) challengePort(from *lab.Host, at netip.AddrPort) {
	r.t.Helper()
	for text, want := range map[string]string{
		"GET /swagger/?a=b HTTP/1.1\r\nHost: desk.example.com\r\n\r\n":                       "307 https://desk.example.com:8000/swagger/?a=b",
		"GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: desk.example.com\r\n\r\n":       "404 ",
		"GET /.well-known/acme-challenge/../../x HTTP/1.1\r\nHost: desk.example.com\r\n\r\n": "404 ",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03":                                       "400 ",
		"nonsense\r\n\r\n": "400 ",
	} {
		c, err := from.Dial(netip.Addr{}, at, patience)
		if err != nil {
			r.t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, text) // it may be closed meanwhile
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			r.t.Errorf("%.30q: got %v, want an answer", text, err)
		} else if got := resp.Status[:4] + resp.Header.Get("Location"); got != want {
			r.t.Errorf("%.30q: got %s, want %s", text, got, want)
		}
		_ = c.Close()
	}
}

// A certificate that lives for seconds is replaced in time, by itself, and no session
// ends.
func TestRenewing(t *testing.T) {
	r := newRig(t, 1)
	r.authority.validity = 45 * time.Second
	r.authority.start()
	r.start()
	first := r.served("the first certificate", nil)
	session := r.session()
	second := r.served("its successor", first)
	if !second.NotBefore.Before(first.NotAfter) {
		t.Errorf("got a successor from %s on, want one before %s", second.NotBefore, first.NotAfter)
	}
	r.echoes("the session", session)
	r.says(0, "certificate", true)
	r.nothingRunsOn()
}

// nothingRunsOn ends the node and looks for goroutines that nobody would have ended.
func (r *rig) nothingRunsOn() {
	r.t.Helper()
	stacks, err := r.nodes[0].Goroutines()
	if err != nil || len(stacks) == 0 {
		r.t.Fatalf("got %d goroutines, %v", len(stacks), err)
	}
	for _, s := range stacks {
		own := strings.Contains(s, "certificate/acme") // it may be at work
		if strings.Contains(s, "certmagic") && !own || strings.Contains(s, "http.(*persistConn)") || strings.Contains(s, "http2ClientConn") {
			r.t.Errorf("after attempts there is\n%s", s)
		}
	}
}

// The authority's words are told, and it is not asked over and over.
func TestARefusal(t *testing.T) {
	r := newRig(t, 1)
	r.authority.answer = r.client.Addr() // where nobody answers
	r.authority.start()
	began := time.Now()
	r.start()
	r.says(0, "acme", false, "urn:ietf:params:acme:error:connection", "connection refused", "tls.acme.names", "next try at")
	detail, _ := r.check(0, "acme")
	_, at, _ := strings.Cut(detail, "next try at ")
	next, err := time.Parse(time.RFC3339, at)
	if wait := next.Sub(began); err != nil || wait < 50*time.Second {
		t.Errorf("got %q, %v, the next try after %s, want a minute", detail, err, wait)
	}
	// Other settings are tried at once.
	r.authority.says(r.api.Addr())
	tls := r.authority.settings()
	tls["acme"].(map[string]any)["email"] = ""
	d := r.dispatcher(0)
	defer d.Close()
	if err := d.Call(soon(t), "POST", "/v3/change_settings/", map[string]any{"tls": tls}, nil); err != nil {
		t.Fatal(err)
	}
	r.served("after the name is right, without an e-mail address", nil)
}

// A port that somebody else has is a fault of this part alone.
func TestAPortThatIsTaken(t *testing.T) {
	r := newRig(t, 1)
	l, err := r.hosts[0].Listen(gateway + ":80")
	if err != nil {
		t.Fatal(err)
	}
	r.authority.start()
	r.start()
	r.says(0, "acme", false, "challenges are not answered here", gateway+":80")
	r.echoes("a session meanwhile", r.session())
	_ = l.Close()
	r.served("after the port is free", nil)
	r.says(0, "acme", true)
}
