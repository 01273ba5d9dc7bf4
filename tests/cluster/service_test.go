package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	dispatcherPort = 4200
	servicePort    = 443
)

// dispatcherOn serves HTTPS on a host, as a dispatcher does, and says its name.
func dispatcherOn(t *testing.T, h *lab.Host) *httptest.Server {
	t.Helper()
	l, err := h.Listen(netip.AddrPortFrom(h.Addr(), dispatcherPort).String())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, h.Name())
	}))
	_ = s.Listener.Close()
	s.Listener = l
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// The service tunnel is byte-transparent: TLS is between client and dispatcher.
func TestAnHTTPSDispatcherThroughTheVirtualAddress(t *testing.T) {
	r := newRig(t, 3, node.Settings{"disp_addrs": []string{"10.99.0.210", "10.99.0.211"}, "disp_port": dispatcherPort})
	first := dispatcherOn(t, r.network.Host("first", "10.99.0.210/24"))
	second := dispatcherOn(t, r.network.Host("second", "10.99.0.211/24"))
	roots := x509.NewCertPool()
	roots.AddCert(first.Certificate())
	roots.AddCert(second.Certificate())
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: r.client.DialContext, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12},
	}}
	ask := func() string {
		resp, err := client.Get("https://" + netip.AddrPortFrom(r.virtual, servicePort).String() + "/")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	eventually(t, "both dispatchers are reached", func() bool {
		seen := map[string]bool{}
		for range 10 {
			seen[ask()] = true
		}
		return seen["first"] && seen["second"]
	})
	first.CloseClientConnections()
	first.Close()
	for range 20 {
		if got := ask(); got != "second" {
			t.Fatalf("the first dispatcher is dead: got %q", got)
		}
	}
}
