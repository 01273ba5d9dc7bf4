package original

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseHAProxy(t *testing.T) {
	const text = "# c\nglobal\n\tmaxconn 10 # c\n\n  frontend  a b\r\n bind \"10.0.0.1\":'80' x\\ y \\# #z\nbackend\n"
	want := []Section{
		{Line: 2, Kind: "global", Body: []Directive{{3, []string{"maxconn", "10"}}}},
		{Line: 5, Kind: "frontend", Name: "a", Body: []Directive{{6, []string{"bind", "10.0.0.1:80", "x y", "#"}}}},
		{Line: 7, Kind: "backend"},
	}
	got, err := ParseHAProxy([]byte(text))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, sections (-want +got):\n%s", err, diff)
	}
}

func TestParseKeepalived(t *testing.T) {
	const text = "! c\nglobal_defs {\n router_id \"a { b\" # c\n}\nvrrp_instance x\n{\n virtual_ipaddress { 10.0.0.1 dev eth0 }\n empty {\n }\n}\nlast\n"
	want := []Statement{
		{Line: 2, Words: []string{"global_defs"}, Open: true, Block: []Statement{{Line: 3, Words: []string{"router_id", "a { b"}}}},
		{Line: 5, Words: []string{"vrrp_instance", "x"}, Open: true, Block: []Statement{
			{Line: 7, Words: []string{"virtual_ipaddress"}, Open: true, Block: []Statement{{Line: 7, Words: []string{"10.0.0.1", "dev", "eth0"}}}},
			{Line: 8, Words: []string{"empty"}, Open: true},
		}},
		{Line: 11, Words: []string{"last"}},
	}
	got, err := ParseKeepalived([]byte(text))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, statements (-want +got):\n%s", err, diff)
	}
}

func TestSyntaxErrors(t *testing.T) {
	haproxy := func(b []byte) error { _, err := ParseHAProxy(b); return err }
	keepalived := func(b []byte) error { _, err := ParseKeepalived(b); return err }
	for _, tt := range []struct {
		parse func([]byte) error
		text  string
		line  int
		says  string
	}{
		{haproxy, "global\n log \"x\n", 2, "quote"},
		{haproxy, "bind :80\n", 1, "before the first section"},
		{haproxy, "global\n.if defined(X)\n", 2, "condition"},
		{haproxy, "global\n\x00", 2, "NUL"},
		{haproxy, "global\n\xff\n", 2, "UTF-8"},
		{keepalived, "a {\n b\n", 1, "} is missing"},
		{keepalived, "a {\n}\n}\n", 3, "without a {"},
		{keepalived, "{\n}\n", 1, "without a name"},
		{keepalived, "a {\n} {\n}\n", 2, "without a name"},
		{keepalived, "a 'x\n", 1, "quote"},
		{keepalived, strings.Repeat("a {\n", 40), 17, "too deep"},
	} {
		var wrong *SyntaxError
		err := tt.parse([]byte(tt.text))
		if !errors.As(err, &wrong) || wrong.Line != tt.line || !strings.Contains(wrong.Problem, tt.says) {
			t.Errorf("%.40q: got %v, want line %d: %s", tt.text, err, tt.line, tt.says)
		}
	}
	if err := haproxy(make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a huge file: got %v, want the limit", err)
	}
	if err := haproxy([]byte(strings.Repeat("x\n", 1000))); strings.Count(err.Error(), "\n")+1 != maxErrors {
		t.Errorf("a thousand wrong lines: got %v, want %d of them", err, maxErrors)
	}
}

// anything may be laid over: nothing panics, no line is without its outcome or outside of
// the file, and no control character comes through.
func checkReport(t *testing.T, file []byte, r Report, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%q: got %v, want a report: nothing is refused", file, err)
	}
	for _, l := range r.Lines {
		if l.Number < 1 || l.Number > strings.Count(string(file), "\n")+1 || l.Result == "" || strings.ContainsAny(l.Text, "\x1b\x07\n") {
			t.Errorf("%q: got the line %+v", file, l)
		}
	}
}

func FuzzHAProxy(f *testing.F) {
	text, err := os.ReadFile("testdata/haproxy.cfg")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(text), "listen a\n bind [::]:80-90\n server x [fe80::1]:8\n", "frontend service\n default_backend b\nbackend b\n server d x:1\n stick-table expire 3h\n stick on src expire\n", "peers p\n bind x,\n peer a b:1\n table t", "listen ''\n ''\n \x1b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		sections, err := ParseHAProxy(file)
		if err != nil {
			return
		}
		r, err := HAProxy(anything(), sections)
		checkReport(t, file, r, err)
	})
}

func FuzzKeepalived(f *testing.F) {
	text, err := os.ReadFile("testdata/keepalived.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(text), "vrrp_instance a {\n advert_int 0.1\n priority x\n unicast_peer {\n 1.1.1.1\n }\n virtual_ipaddress { ::1/8 dev }\n}", "global_defs {\n vrrp_version 3 }\nvrrp_instance {\n notify {\n}\n ''\n}", "a\n{\n}\x1b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		statements, err := ParseKeepalived(file)
		if err != nil {
			return
		}
		r, err := Keepalived(anything(), statements)
		checkReport(t, file, r, err)
	})
}
