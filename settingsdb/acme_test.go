package settingsdb

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withACME is a document that has an authority asked, with more members than the two
// that it needs.
func withACME(more string) string {
	return `{"ssl":true,"tls":{"acme":{"directory":"https://ca.example/dir","names":["desk.example.com"]` + more + `}}}`
}

func TestRulesOfACME(t *testing.T) {
	directory := func(url string) string {
		return `{"tls":{"acme":{"directory":"` + url + `","names":["a.example"]}}}`
	}
	checkRules(t, []rule{
		{withACME(``), "", ""},
		{withACME(`,"email":"ops@example.com","port":8080,"ca_file":"/etc/ca.pem"`), "", ""},
		{withACME(`,"email":"first.last+vdi@example.com"`), "", ""},
		{withACME(`,"email":"ops"`), "tls.acme.email", "e-mail address"},
		{withACME(`,"email":"%@example.com"`), "tls.acme.email", "e-mail address"},
		{withACME(`,"email":".@example.com"`), "tls.acme.email", "e-mail address"},
		{withACME(`,"email":"Ops <ops@example.com>"`), "tls.acme.email", "e-mail address"},
		{withACME(`,"email":"` + key(200) + `@example.com"`), "tls.acme.email", "e-mail address"},
		{withACME(`,"port":0`), "tls.acme.port", "1 to 65535"},
		{withACME(`,"port":65536`), "tls.acme.port", "1 to 65535"},
		{withACME(`,"port":8000`), "tls.acme.port", "differ from api_port"},
		{withACME(`,"port":5910`), "tls.acme.port", "outside of the port range"},
		{withACME(`,"ca_file":"ca.pem"`), "tls.acme.ca_file", "absolute path"},
		{withACME(`,"ca_file":"/etc/../ca.pem"`), "tls.acme.ca_file", "absolute path"},
		{withACME(`,"wildcard":true`), "tls.acme.wildcard", ""},
		{`{"tls":{"acme":null}}`, "", ""},
		{`{"tls":{"acme":{}}}`, "tls.acme.directory", "https URL"},
		{`{"tls":{"acme":{}}}`, "tls.acme.names", "public_addr"},
		{`{"tls":{"acme":"yes"}}`, "tls.acme", "an object"},
		{directory("https://ca.example"), "", ""},
		{directory("https://[fd00::1]:14000/dir"), "", ""},
		{directory("http://ca.example/dir"), "tls.acme.directory", "https URL"},
		{directory("https:///dir"), "tls.acme.directory", "https URL"},
		{directory("https://user@ca.example/dir"), "tls.acme.directory", "https URL"},
		{directory("https://ca.example/dir?a=b"), "tls.acme.directory", "https URL"},
		{directory("https://ca.example/" + key(200)), "tls.acme.directory", "https URL"},
		{`{"tls":{"cert_file":"/c","key_file":"/k","acme":{"directory":"https://ca.example","names":["a.example"]}}}`, "tls.acme", "cert_file"},
	})
}

func TestNamesOfACME(t *testing.T) {
	document := func(public, names string) string {
		return `{"public_addr":"` + public + `","tls":{"acme":{"directory":"https://ca.example","names":[` + names + `]}}}`
	}
	checkRules(t, []rule{
		{document("desk.example.com", ``), "", ""},
		{document("", ``), "tls.acme.names", "no host name"},
		{document("203.0.113.1", ``), "tls.acme.names", "no host name"},
		{document("", `"a.example","b.example"`), "tls.acme.names", "one name"},
		{document("", `"203.0.113.1"`), "tls.acme.names[0]", "no address"},
		{document("", `"*.example.com"`), "tls.acme.names[0]", "no wildcard"},
		{document("", `"../../etc"`), "tls.acme.names[0]", "host name"},
	})
	for text, want := range map[string]string{
		document("Desk.example.com", ``):                  "desk.example.com",
		document("desk.example.com", `"VDI.example.com"`): "vdi.example.com",
		`{}`: "",
	} {
		if got := merged(t, fresh(t), text).ACMEName(); got != want {
			t.Errorf("%s: got the name %q, want %q", text, got, want)
		}
	}
}

func TestACMEComesAndGoes(t *testing.T) {
	s := merged(t, fresh(t), `{"ssl":true,"public_addr":"desk.example.com","tls":{"acme":{"directory":"https://ca.example/dir"}}}`)
	want := `"acme":{"directory":"https://ca.example/dir","email":"","names":[],"port":80,"ca_file":""}`
	if got := string(s.JSON()); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
	again, problems := Revise(Default(), s.JSON())
	if diff := cmp.Diff(s.JSON(), again.JSON()); diff != "" || len(problems) > 0 {
		t.Errorf("read back (-want +got):\n%s%v", diff, problems)
	}
	if got := Changed(s, again); len(got) > 0 {
		t.Errorf("read back: got %q changed, want nothing", got)
	}
	if got := merged(t, s, `{"compression":false}`); got.TLS.ACME == nil {
		t.Error("another key is posted: got no acme, want it as it was")
	}
	if got := s.Effective()["tls.acme"]; got.Status != Honoured || got.Note != "" {
		t.Errorf("effective: got %+v, want it honoured", got)
	}
	gone := merged(t, s, `{"tls":{"disable_tls_1_2":true}}`)
	if text := string(gone.JSON()); gone.TLS.ACME != nil || strings.Contains(text, "acme") {
		t.Errorf("tls is posted without acme: got %s, want it gone", text)
	}
	if got, there := gone.Effective()["tls.acme"]; there {
		t.Errorf("effective without acme: got %+v, want nothing", got)
	}
	s.SSL = false
	if got := s.Effective()["tls.acme"]; !strings.Contains(got.Note, "once ssl is true") {
		t.Errorf("effective without ssl: got %+v, want that it does not count yet", got)
	}
	if got := strings.Join(Warnings(s), "; "); !strings.Contains(got, "ssl is false") {
		t.Errorf("ssl false: got the warnings %q, want one", got)
	}
}
