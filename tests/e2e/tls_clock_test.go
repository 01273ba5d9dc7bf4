//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// A node whose clock is wrong takes a good pair for one that has expired, or is not
// valid yet. The dates of pairs stand for the clock here: faketime does not reach a
// Go program, which asks the kernel without the C library.
func TestTLSStartsWithAPairOfAnotherTime(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to time.Duration
		says     []string
		status   string
	}{
		"expired":        {-year, -time.Hour, []string{"expired on", "if that is in the future, the clock of this host is wrong"}, "degraded"},
		"not valid yet":  {time.Hour, year, []string{"is valid from", "if that is in the past, the clock of this host is wrong"}, "degraded"},
		"about to end":   {-year, 6 * 24 * time.Hour, []string{"ends on"}, "degraded"},
		"ends next week": {-year, 8 * 24 * time.Hour, []string{"until"}, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			s := newSecurePlaceOf(t, a, a.issue(t, tt.from, tt.to), nil)
			s.wantShown(t, s.first.leaf)
			trust := trustRoots(a.roots)
			trust.Time = func() time.Time { return s.first.leaf.NotBefore.Add(time.Minute) } // whose clock is right
			d := s.node.Dispatcher().Secure(trust)
			t.Cleanup(d.Close)
			h := healthOf(t, d)
			ok, detail := h.certificate()
			if h.Status != tt.status || ok != (tt.status == "ok") {
				t.Errorf("got health %s and a check that is ok: %t, want %s", h.Status, ok, tt.status)
			}
			has(t, "health", detail, append(tt.says, s.files.cert)...)
			out, err := s.onNode(t, "status")
			if err != nil {
				t.Errorf("status on the node: got %v, want nil", err)
			}
			has(t, "status", out, tt.says...)
			v := serve(t, s.vmHost, vmAddr+":7000", echo)
			client := s.node.Client(s.client).Secure(trust)
			t.Cleanup(client.Close)
			c := carrier{s.client, s.apiAt(), client, trust, v.addr}.dial(t, "user")
			defer c.Close()
			if err := echoes(c); err != nil {
				t.Errorf("a session: got %v, want it", err)
			}
			next := a.issue(t, -time.Hour, year)
			s.files.put(t, next)
			s.soonShown(t, next.leaf)
			if h := healthOf(t, s.dispatcher(t)); h.Status != "ok" {
				t.Errorf("health with a good pair: got %s, want ok", h.Status)
			}
			if err := echoes(c); err != nil {
				t.Errorf("the session afterwards: got %v, want it to go on", err)
			}
		})
	}
}

// A pair that ends while a node runs goes on serving: nothing better is there.
func TestTLSPairEndsWhileTheNodeRuns(t *testing.T) {
	a := newAuthority(t)
	short := a.issue(t, -time.Hour, 3*time.Second)
	s := newSecurePlaceOf(t, a, short, nil)
	trust := trustRoots(a.roots)
	trust.Time = func() time.Time { return short.leaf.NotBefore.Add(time.Minute) }
	d := s.node.Dispatcher().Secure(trust)
	t.Cleanup(d.Close)
	eventually(t, "health says that it has expired", func() bool {
		_, detail := healthOf(t, d).certificate()
		return strings.Contains(detail, "expired on")
	})
	eventually(t, "the journal says so", func() bool { return strings.Contains(s.node.Log(), "cannot be used") })
	s.wantShown(t, short.leaf)
	if n := strings.Count(s.node.Log(), "cannot be used"); n != 1 {
		t.Errorf("the journal says it %d times, want once:\n%s", n, s.node.Log())
	}
}

// A node that starts with files that it cannot use can be reached all the same.
func TestTLSStartsWithFilesOfNoUse(t *testing.T) {
	a := newAuthority(t)
	good := a.issue(t, -time.Hour, year)
	f := newFiles(t, good)
	put(t, f.key, noise(100))
	p := newPlace(t, node.Config{Settings: node.Settings{"ssl": true, "tls": f.settings()}})
	d := p.node.Dispatcher().Secure(selfSigned(t, p))
	t.Cleanup(d.Close)
	h := healthOf(t, d)
	if ok, detail := h.certificate(); h.Status != "degraded" || ok || !strings.Contains(detail, f.key) {
		t.Errorf("got health %s with %q, want degraded with %s", h.Status, detail, f.key)
	}
	// What is wrong can be mended by the API, without the host.
	var answer struct{ Applied bool }
	err := d.Call(t.Context(), http.MethodPost, "/v3/change_settings/", node.Settings{"disp_port": 4999}, &answer)
	if err != nil || !answer.Applied {
		t.Errorf("another change meanwhile: got %v, want it applied", err)
	}
	f.put(t, good)
	took := p.soonShown(t, good.leaf)
	t.Logf("mended: new clients see it after %s", took.Round(time.Millisecond))
}
