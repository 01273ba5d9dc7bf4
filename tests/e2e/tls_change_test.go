//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// A change to files that cannot be used is refused, and nothing has changed.
func TestTLSChangeToBadFilesIsRefused(t *testing.T) {
	s := newSecurePlace(t, nil)
	plain := newPlace(t, node.Config{})
	good, other := newFiles(t, s.first), newFiles(t, s.authority.issue(t, -time.Hour, year))
	expired := newFiles(t, s.authority.issue(t, -year, -time.Hour))
	missing := files{good.cert + ".missing", good.key}
	noKey := files{good.cert, good.key + ".missing"}
	for _, p := range []*place{s.place, plain} {
		d := p.node.Dispatcher()
		if p == s.place {
			d = s.dispatcher(t)
		}
		before, err := d.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name  string
			files files
			says  string
		}{
			{"no such certificate", missing, missing.cert},
			{"no such key", noKey, noKey.key},
			{"a key of another certificate", files{good.cert, other.key}, "do not belong together"},
			{"a key where the certificate should be", files{good.key, good.cert}, good.key},
			{"an expired certificate", expired, "expired on"},
			{"a folder", files{t.TempDir(), good.key}, "is no file"},
			{"a device", files{"/dev/zero", good.key}, "/dev/zero"},
		} {
			_, err := d.Change(t.Context(), node.Settings{"ssl": true, "tls": tt.files.settings()})
			wantUnusable(t, tt.name, err, tt.says)
		}
		after, err := d.Settings(t.Context())
		if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("settings afterwards: got %v and %v, want them as before: %v", after, err, before)
		}
		if h := healthOf(t, d); h.Status != "ok" || h.SettingsRevision != 1 {
			t.Errorf("health afterwards: got %s with revision %d, want ok with 1", h.Status, h.SettingsRevision)
		}
	}
	s.wantShown(t, s.first.leaf)
	if _, err := shown(plain.client, plain.apiAt()); err == nil {
		t.Error("the node without TLS: got a handshake, want none")
	}
}

// wantUnusable checks that a change was refused and why.
func wantUnusable(t *testing.T, what string, err error, says string) {
	t.Helper()
	var r *node.Refusal
	if !errors.As(err, &r) || r.Status != http.StatusFailedDependency && r.Status != http.StatusUnprocessableEntity {
		t.Errorf("%s: got %v, want 424 or 422", what, err)
		return
	}
	if !strings.Contains(fmt.Sprint(r.Errors), says) {
		t.Errorf("%s: got %v, want %q in it", what, r.Errors, says)
	}
}

// A certificate without a key, and a key without a certificate, are refused by name.
func TestTLSNeedsBothFiles(t *testing.T) {
	s := newSecurePlace(t, nil)
	d := s.dispatcher(t)
	_, err := d.Change(t.Context(), node.Settings{"tls": files{s.files.cert, ""}.settings()})
	wantRefused(t, "a certificate alone", err, http.StatusUnprocessableEntity, "tls.key_file")
	_, err = d.Change(t.Context(), node.Settings{"tls": files{"", s.files.key}.settings()})
	wantRefused(t, "a key alone", err, http.StatusUnprocessableEntity, "tls.cert_file")
}
