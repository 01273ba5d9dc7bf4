package statistics

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	_, _, url := started(t, three())
	for _, tt := range []struct {
		method, path string
		status       int
		kind         string
	}{
		{"GET", "/", 200, "text/html"},
		{"HEAD", "/", 200, "text/html"},
		{"GET", "/metrics", 200, "text/plain"},
		{"GET", "/data.json", 200, "application/json"},
		{"GET", "/data.json?since=-5&boot=x", 200, "application/json"},
		{"POST", "/", 405, ""},
		{"DELETE", "/metrics", 405, ""},
		{"POST", "/data.json", 405, ""},
		{"GET", "/index.html", 404, ""},
		{"GET", "/v3/health/", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"GET", "/page.js", 404, ""},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			status, header, body := call(t, tt.method, url+tt.path)
			if status != tt.status || !strings.HasPrefix(header.Get("Content-Type"), tt.kind) {
				t.Errorf("got %d %s, want %d %s", status, header.Get("Content-Type"), tt.status, tt.kind)
			}
			if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" {
				t.Errorf("got header %v, want nosniff and no-store", header)
			}
			if tt.method == http.MethodHead && body != "" {
				t.Errorf("got %d bytes for HEAD", len(body))
			}
		})
	}
}

func TestThePagePolicyForbidsWhatIsNotItsOwn(t *testing.T) {
	_, _, url := started(t, three())
	_, header, _ := call(t, "GET", url+"/")
	policy := header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("got policy %q", policy)
	}
}

func TestApplyMovesTheAddress(t *testing.T) {
	s, _, former := started(t, three())
	if err := s.Apply(Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.2:0")}}); err != nil {
		t.Fatal(err)
	}
	addrs := s.Addrs()
	if len(addrs) != 1 || addrs[0].Addr() != netip.MustParseAddr("127.0.0.2") {
		t.Fatalf("got %v, want one address, 127.0.0.2", addrs)
	}
	if status, _, _ := call(t, "GET", "http://"+addrs[0].String()+"/data.json"); status != 200 {
		t.Errorf("the new address: got %d, want 200", status)
	}
	if c, err := net.Dial("tcp", strings.TrimPrefix(former, "http://")); err == nil {
		c.Close()
		t.Error("the former address accepts")
	}
}

func TestEqualConfigsChangeNothing(t *testing.T) {
	s, _ := newServer(t, three())
	run(t, s)
	cfg := Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}
	var seen []netip.AddrPort
	for range 2 {
		if err := s.Apply(cfg); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, s.Addrs()...)
	}
	if len(seen) != 2 || seen[0] != seen[1] {
		t.Errorf("got %v, want the same address twice", seen)
	}
}

func TestAnAddressThatCannotBeBoundLeavesAllAsItWas(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s, _, url := started(t, three())
	before := s.Addrs()
	busy := netip.MustParseAddrPort(taken.Addr().String())
	err = s.Apply(Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.4:0"), busy}})
	if err == nil || !strings.Contains(err.Error(), busy.String()) {
		t.Errorf("got %v, want an error that names %s", err, busy)
	}
	if after := s.Addrs(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("got %v, want %v", after, before)
	}
	if status, _, _ := call(t, "GET", url+"/data.json"); status != 200 {
		t.Errorf("got %d, want 200", status)
	}
}

func TestAnAddressOfAnotherHost(t *testing.T) {
	away := Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.77:18003"), netip.MustParseAddrPort("[2001:db8::77]:18003")}}
	s, _ := newServer(t, three())
	run(t, s)
	if err := s.Apply(away); err == nil {
		t.Error("without Freebind: got no error")
	}
	away.Freebind = true
	if err := s.Apply(away); err != nil {
		t.Errorf("with Freebind: got %v", err)
	}
}

func TestAfterRunThereIsNoMore(t *testing.T) {
	s, _ := newServer(t, three())
	run(t, s)()
	if err := s.Apply(Config{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply: got %v, want ErrClosed", err)
	}
	if err := s.Run(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("Run: got %v, want ErrClosed", err)
	}
}

func TestAFailedListenerEndsRun(t *testing.T) {
	s, _ := newServer(t, three())
	if err := s.Apply(Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}); err != nil {
		t.Fatal(err)
	}
	for _, d := range s.doors {
		d.Listener.Close() // not on purpose
	}
	if err := s.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want the listener's error", err)
	}
}
