//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// told is what curl tells of a request beside the answer.
const told = "\n%{http_code} HTTP/%{http_version} verified:%{ssl_verify_result}"

// curl runs curl on the client's host, which believes the certificate in file.
func curl(t *testing.T, p *place, file string, args ...string) (string, error) {
	t.Helper()
	return run(t, p.client, "", need(t, "curl"), append([]string{"-sS", "--max-time", "10", "-w", told, "--cacert", file}, args...)...)
}

func TestTLSCurl(t *testing.T) {
	p := newPlace(t, node.Config{Settings: node.Settings{"ssl": true}})
	serve(t, p.vmHost, vmAddr+":7000", echo)
	api, stats := "https://"+p.apiAt().String(), "https://"+p.statsAt().String()
	cliKey := "Authorization: Bearer " + p.node.ClientKey()
	apiKey := "Authorization: Bearer " + keyOf(t, p, "api_key")
	opening := `{"vm_address":"` + vmAddr + `","vm_port":7000,"mode":"websocket"}`
	asJSON := "Content-Type: application/json"
	for _, tt := range []struct {
		name string
		args []string
		says []string
	}{
		{"TLS 1.2", []string{"-v", "--tlsv1.2", "--tls-max", "1.2", api + "/livez"}, []string{"ok\n", "200 HTTP/1.1 verified:0", "SSL connection using TLSv1.2"}},
		{"TLS 1.3", []string{"-v", "--tlsv1.3", api + "/livez"}, []string{"ok\n", "200 HTTP/1.1 verified:0", "SSL connection using TLSv1.3"}},
		{"HTTP/2 is offered", []string{"-v", "--http2", api + "/livez"}, []string{"ALPN: offers h2,http/1.1", "ALPN: server accepted http/1.1", "200 HTTP/1.1"}},
		{"no protocol is offered", []string{"-v", "--no-alpn", api + "/livez"}, []string{"200 HTTP/1.1"}},
		{"statistics", []string{stats + "/metrics"}, []string{"go_goroutines", "200 HTTP/1.1 verified:0"}},
		{"HEAD", []string{"-I", stats + "/"}, []string{"HTTP/1.1 200 OK", "Content-Type: text/html", "200 HTTP/1.1"}},
		{"GET with api_key", []string{"-H", apiKey, api + "/v3/get_settings/"}, []string{`"ssl":true`, "200 HTTP/1.1"}},
		{"POST with cli_key", []string{"-H", cliKey, "-H", asJSON, "-d", opening, api + "/v3/open_connection/"}, []string{`"token"`, "201 HTTP/1.1"}},
		{"POST with the wrong key", []string{"-H", cliKey + "x", "-H", asJSON, "-d", opening, api + "/v3/open_connection/"}, []string{"UNAUTHORIZED", "401 HTTP/1.1"}},
		{"from http by redirect", []string{"-L", "http://" + p.apiAt().String() + "/livez"}, []string{"ok\n", "200 HTTP/1.1 verified:0"}},
		{"POST from http by redirect", []string{"-L", "--location-trusted", "-H", cliKey, "-H", asJSON, "-d", opening, "http://" + p.apiAt().String() + "/v3/open_connection/"}, []string{`"token"`, "201 HTTP/1.1"}},
	} {
		out, err := curl(t, p, selfSignedFile(p), tt.args...)
		if err != nil {
			t.Errorf("%s: got %v, want an answer", tt.name, err)
		}
		has(t, tt.name, out, tt.says...)
		hasNot(t, tt.name, out, "Strict-Transport-Security")
	}
	for name, args := range map[string][]string{
		"whom nothing vouches for": {"--cacert", "/etc/ssl/certs/ca-certificates.crt", api + "/livez"},
		"TLS 1.1":                  {"--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", api + "/livez"},
		"another name":             {"--resolve", "other.example.com:8000:10.99.0.1", "https://other.example.com:8000/livez"},
	} {
		if out, err := curl(t, p, selfSignedFile(p), args...); err == nil || !strings.Contains(out, "\n000 ") {
			t.Errorf("%s: got %v and %q, want no answer", name, err, out)
		}
	}
}

// Browsers are told to come by TLS only where an authority vouches for the node.
func TestTLSCurlByIPv6WithAnAuthority(t *testing.T) {
	a := newAuthority(t)
	f := newFiles(t, a.issue(t, -time.Hour, year))
	root := files{t.TempDir() + "/root.crt", ""}
	put(t, root.cert, text("CERTIFICATE", a.root.Raw))
	p := newPlace6(t, node.Config{Settings: node.Settings{"ssl": true, "tls": f.settings()}})
	out, err := curl(t, p, root.cert, "-D", "-", "https://[fd99::1]:8000/livez")
	if err != nil {
		t.Fatal(err)
	}
	has(t, "by IPv6", out, "ok\n", "200 HTTP/1.1 verified:0", "Strict-Transport-Security: max-age=31536000")
	out, err = curl(t, p, root.cert, "--resolve", "desk.example.com:8000:[fd99::1]", "https://desk.example.com:8000/livez")
	if err != nil {
		t.Fatal(err)
	}
	has(t, "by name", out, "200 HTTP/1.1 verified:0")
}

// keyOf reads a setting that is a text, as an operator does.
func keyOf(t *testing.T, p *place, name string) string {
	t.Helper()
	out, err := run(t, p.gate, "", node.Binary(), "settings", "get", name, "--db", p.node.Path("settings.db"))
	if err != nil {
		t.Fatal(err)
	}
	var key string
	if json.Unmarshal([]byte(out), &key) != nil {
		key = strings.TrimSpace(out)
	}
	return key
}
