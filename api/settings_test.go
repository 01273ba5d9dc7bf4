package api

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/settingsdb"
)

func TestGetSettings(t *testing.T) {
	n := newNode(t, nil)
	got := n.api("GET", "/v3/get_settings", "")
	var document settingsdb.Settings
	got.into(200, &document)
	if diff := cmp.Diff(n.settings.document, document); diff != "" {
		t.Error(diff)
	}
	if etag := got.header.Get("ETag"); etag != `"17"` {
		t.Errorf("got ETag %s, want \"17\"", etag)
	}
	if !strings.Contains(string(got.body), `"api_key":"`+apiKey+`"`) {
		t.Errorf("the keys are missing: %s", got.body)
	}
}

func TestChangeSettings(t *testing.T) {
	n := newNode(t, nil)
	got := n.api("POST", "/v3/change_settings/", `{"port_range_stop":5949}`, `If-Match: "17"`)
	var members map[string]any
	got.into(200, &members)
	want := map[string]any{
		"applied": true, "revision": 18.0, "changed": []any{"port_range_stop"},
		"nodes": map[string]any{}, "rollback_at": nil, "warnings": []any{},
	}
	if diff := cmp.Diff(want, members); diff != "" {
		t.Error(diff)
	}
	if etag := got.header.Get("ETag"); etag != `"18"` {
		t.Errorf("got ETag %s, want \"18\"", etag)
	}
	if n.settings.asked.Author != "api 127.0.0.1" {
		t.Errorf("got author %q", n.settings.asked.Author)
	}
}

func TestChangeSettingsParameters(t *testing.T) {
	n := newNode(t, nil)
	for _, tt := range []struct {
		name, query, header string
		wrong               string // the field to blame
		want                ChangeRequest
	}{
		{"nothing", "", "", "", ChangeRequest{}},
		{"dry_run=1", "?dry_run=1", "", "", ChangeRequest{DryRun: true}},
		{"dry_run=true", "?dry_run=true", "", "", ChangeRequest{DryRun: true}},
		{"dry_run=0", "?dry_run=0", "", "", ChangeRequest{}},
		{"dry_run=yes", "?dry_run=yes", "", "dry_run", ChangeRequest{}},
		{"dry_run misspelt", "?dryrun=1", "", "dryrun", ChangeRequest{}},
		{"a query that cannot be read", "?dry_run=%zz", "", "query", ChangeRequest{}},
		{"confirm_s=1", "?dry_run=1&confirm_s=1", "", "", ChangeRequest{DryRun: true, Confirm: time.Second}},
		{"confirm_s=3600", "?dry_run=1&confirm_s=3600", "", "", ChangeRequest{DryRun: true, Confirm: time.Hour}},
		{"confirm_s=0", "?confirm_s=0", "", "confirm_s", ChangeRequest{}},
		{"confirm_s=3601", "?confirm_s=3601", "", "confirm_s", ChangeRequest{}},
		{"confirm_s=soon", "?confirm_s=soon", "", "confirm_s", ChangeRequest{}},
		{"quoted", "", `"17"`, "", ChangeRequest{IfMatch: new(int64(17))}},
		{"weak", "", `W/"17"`, "", ChangeRequest{IfMatch: new(int64(17))}},
		{"bare", "", `17`, "", ChangeRequest{IfMatch: new(int64(17))}},
		{"any", "", `*`, "", ChangeRequest{}},
		{"a list", "", `"17", "18"`, "If-Match", ChangeRequest{}},
		{"not a revision", "", `"abc"`, "If-Match", ChangeRequest{}},
		{"half a quote", "", `"`, "If-Match", ChangeRequest{}},
		{"negative", "", `-1`, "If-Match", ChangeRequest{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := n.api("POST", "/v3/change_settings/"+tt.query, `{}`, "If-Match: "+tt.header)
			n.settings.revision = 17
			if tt.wrong != "" {
				got.is(422, "VALIDATION")
				if diff := cmp.Diff([]string{tt.wrong}, got.fields()); diff != "" {
					t.Error(diff)
				}
				return
			}
			got.into(200, &ChangeResult{})
			tt.want.Body, tt.want.Author, tt.want.Caller = []byte(`{}`), "api 127.0.0.1", netip.MustParseAddr("127.0.0.1")
			if diff := cmp.Diff(tt.want, n.settings.asked, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDryRunTellsWhatWouldEnd(t *testing.T) {
	n := newNode(t, nil)
	var members map[string]any
	n.api("POST", "/v3/change_settings/?dry_run=1", `{"port_range_stop":5949}`).into(200, &members)
	if members["applied"] != false || members["would_end"] == nil {
		t.Errorf("got %v, want applied false and would_end a list", members)
	}
}

func TestSettingsRefusals(t *testing.T) {
	n := newNode(t, nil)
	change := func(body string, headers ...string) answer {
		return n.api("POST", "/v3/change_settings/", body, headers...)
	}
	change(`{"port_range_stop":5949}`, "If-Match: 16").is(409, "REVISION_MISMATCH")
	change(``).is(400, "BAD_JSON")
	got := change(`{"port_range_stop":1,"api_prot":1,"vrrp":{"advert_ms":"x"}}`)
	got.is(422, "VALIDATION")
	for _, want := range []string{"api_prot", "vrrp.advert_ms"} {
		if !strings.Contains(strings.Join(got.fields(), " "), want) {
			t.Errorf("got fields %v, want %s among them", got.fields(), want)
		}
	}
	n.settings.refuse = ErrChangeInProgress
	change(`{}`).is(409, "CHANGE_IN_PROGRESS")
	n.settings.refuse = fmt.Errorf("preparing: %w", &NodeRejected{Node: "10.0.0.2", Reason: "port 5900 is taken"})
	rejected := change(`{}`)
	rejected.is(424, "NODE_REJECTED")
	if want := "node 10.0.0.2: port 5900 is taken"; rejected.errors().Errors[0].Message != want {
		t.Errorf("got %s, want %q", rejected.body, want)
	}
	n.settings.refuse = errors.New("the inside of things")
	internal := change(`{}`)
	internal.is(500, "INTERNAL")
	if strings.Contains(string(internal.body), "inside of things") || !strings.Contains(n.log.String(), "inside of things") {
		t.Errorf("got %s, want the cause in the log alone", internal.body)
	}
	n.settings.refuse = fmt.Errorf("database x: %w", settingsdb.ErrDiskFull)
	if full := change(`{}`); full.status != 500 || !strings.Contains(string(full.body), "disk is full") {
		t.Errorf("got %d %s, want 500 and the disk named", full.status, full.body)
	}
}

func TestConfirmSettings(t *testing.T) {
	n := newNode(t, nil)
	n.api("POST", "/v3/confirm_settings/", "").is(404, "NOT_FOUND")
	var result ChangeResult
	n.api("POST", "/v3/change_settings/?confirm_s=60", `{"port_range_stop":5949}`).into(200, &result)
	if result.RollbackAt == nil || time.Until(*result.RollbackAt) > time.Minute {
		t.Errorf("got rollback_at %v, want a minute from now", result.RollbackAt)
	}
	var confirmed confirmAnswer
	n.api("POST", "/v3/confirm_settings", "{}").into(200, &confirmed)
	if confirmed != (confirmAnswer{Confirmed: true, Revision: 18}) {
		t.Errorf("got %+v", confirmed)
	}
}

func TestWhatSettingsComeTo(t *testing.T) {
	n := newNode(t, nil)
	n.settings.document.TLS.DHParams = "/etc/dh.pem"
	var effects map[string]settingsdb.Effect
	n.api("GET", "/v3/get_settings/?effective=1", "").into(200, &effects)
	if got := effects["tls.dhparams"]; got.Value != "/etc/dh.pem" || got.Status != settingsdb.NotHonoured || got.Note == "" {
		t.Errorf("got %+v, want what was set, not honoured, and why", got)
	}
	if got := effects["tls.disable_tls_1_2"]; got.Value != false || got.Status != settingsdb.Honoured {
		t.Errorf("got %+v, want false, honoured", got)
	}
	var document map[string]any
	n.api("GET", "/v3/get_settings/?effective=0", "").into(200, &document)
	if document["api_key"] != apiKey {
		t.Error("without effective: want the document")
	}
	n.api("GET", "/v3/get_settings/?effective=maybe", "").is(422, "VALIDATION")
}
