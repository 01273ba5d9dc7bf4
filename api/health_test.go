package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHealth(t *testing.T) {
	n := newNode(t, nil)
	for status, code := range map[string]int{
		"ok": 200, "degraded": 200, "draining": 200, "starting": 503, "disabled": 503, "fail": 503,
	} {
		n.health.Status = status
		got := n.api("GET", "/v3/health/", "")
		var h Health
		got.into(code, &h)
		if h.Status != status {
			t.Errorf("got status %q, want %q", h.Status, status)
		}
		if retry := got.header.Get("Retry-After"); (retry != "") != (code == 503) {
			t.Errorf("%s: got Retry-After %q", status, retry)
		}
	}
}

func TestHealthMembers(t *testing.T) {
	n := newNode(t, nil)
	var members map[string]any
	n.api("GET", "/v3/health", "").into(200, &members)
	want := map[string]any{
		"status": "ok", "node": "127.0.0.1", "version": "1.2.3-test", "uptime_s": 0.0, "role": "none",
		"virtual_addr": map[string]any{"addr": "", "held": false, "since": nil},
		"cluster":      []any{}, "capacity": map[string]any{"max": 0.0, "used": 0.0, "free_ports": 0.0},
		"dispatchers": []any{}, "checks": []any{}, "settings_revision": 0.0,
	}
	if diff := cmp.Diff(want, members); diff != "" {
		t.Error(diff)
	}
}

func TestProbes(t *testing.T) {
	n := newNode(t, nil)
	n.ready = false
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503} {
		if got := n.call("GET", path, ""); got.status != want {
			t.Errorf("%s: got %d, want %d", path, got.status, want)
		}
	}
	n.ready = true
	if got := n.call("GET", "/readyz", ""); got.status != 200 {
		t.Errorf("got %d, want 200", got.status)
	}
}
