package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

// The ports of the authority's host.
const (
	acmePort       = 14000
	managementPort = 15000
	dnsPort        = 8053
	namesPort      = 8055 // where the name server is told what to say
)

const name = "desk.example.com"

// authority is Pebble and its name server, on a host of their own.
type authority struct {
	t         *testing.T
	host      *lab.Host
	dir       string
	answer    netip.Addr    // what the name stands for
	validity  time.Duration // of what it issues; 0: years
	processes []*lab.Process
}

// newAuthority is one that does not run yet.
func newAuthority(t *testing.T, n *lab.Network, answer string) *authority {
	t.Helper()
	for _, c := range []string{"pebble", "pebble-challtestsrv"} {
		if _, err := exec.LookPath(c); err != nil {
			t.Skipf("%s is not installed", c)
		}
	}
	a := &authority{t: t, host: n.Host("authority", "10.99.0.60/24"), dir: t.TempDir(), answer: netip.MustParseAddr(answer)}
	a.makeFiles()
	return a
}

// start starts the authority, without knowledge of a former start.
func (a *authority) start() {
	a.t.Helper()
	if err := os.WriteFile(a.file("pebble.json"), a.document(), 0o600); err != nil {
		a.t.Fatal(err)
	}
	a.run("pebble-challtestsrv", "-dns01", a.at(dnsPort), "-management", a.at(namesPort),
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", a.answer.String(), "-defaultIPv6", "")
	a.run("pebble", "-config", a.file("pebble.json"), "-dnsserver", a.at(dnsPort), "-strict=false")
	eventually(a.t, "the authority answers", func() bool {
		_, err := a.get(acmePort, "/dir")
		return err == nil
	})
	a.t.Cleanup(func() {
		if a.t.Failed() {
			for _, p := range a.processes {
				a.t.Logf("the authority:\n%s", p.Output())
			}
		}
	})
}

func (a *authority) run(command string, args ...string) {
	a.t.Helper()
	cmd := exec.CommandContext(context.Background(), command, args...)
	// Every certificate takes a challenge, and none waits for it.
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0")
	p, err := a.host.Start(cmd)
	if err != nil {
		a.t.Fatal(err)
	}
	a.processes = append(a.processes, p)
}

// stop ends the authority at once.
func (a *authority) stop() {
	for _, p := range a.processes {
		p.Kill()
	}
	a.processes = nil
}

// says changes what the name stands for.
func (a *authority) says(addr netip.Addr) {
	a.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: a.host.DialContext, DisableKeepAlives: true}}
	resp, err := client.Post("http://"+a.at(namesPort)+"/set-default-ipv4", "application/json", strings.NewReader(`{"ip":"`+addr.String()+`"}`))
	if err != nil {
		a.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		a.t.Fatalf("the name server: %s", resp.Status)
	}
}

func (a *authority) at(port int) string { return fmt.Sprintf("%s:%d", a.host.Addr(), port) }

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// settings is tls of the settings document.
func (a *authority) settings() map[string]any {
	return map[string]any{"acme": map[string]any{
		"directory": "https://" + a.at(acmePort) + "/dir", "email": "ops@example.com", "names": []string{name}, "ca_file": a.file("ca.pem"),
	}}
}

// document is Pebble's own configuration.
func (a *authority) document() []byte {
	p := map[string]any{
		"listenAddress": a.at(acmePort), "managementListenAddress": a.at(managementPort),
		"certificate": a.file("server.pem"), "privateKey": a.file("server.key"), "httpPort": 80, "tlsPort": 1,
	}
	if a.validity > 0 {
		p["certificateValidityPeriod"] = int(a.validity.Seconds())
	}
	text, err := json.Marshal(map[string]any{"pebble": p})
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

// roots are what vouches for what it issues.
func (a *authority) roots() *x509.CertPool {
	a.t.Helper()
	text, err := a.get(managementPort, "/roots/0")
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(text) {
		a.t.Fatalf("the authority tells no root: %v", err)
	}
	return pool
}

func (a *authority) get(port int, path string) ([]byte, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: a.host.DialContext, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the test knows whom it started
	}}
	resp, err := client.Get("https://" + a.at(port) + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
