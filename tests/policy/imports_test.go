package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// arrows is the drawing of docs/architecture.md: the parts that a part may
// import. Below a part everything belongs to it.
var arrows = map[string][]string{
	"":           {"api", "gateway", "balancer", "vrrp", "settingsdb"},
	"api":        {"gateway", "balancer", "vrrp", "settingsdb"},
	"gateway":    {},
	"balancer":   {},
	"vrrp":       {},
	"settingsdb": {},
}

// owners names, for modules that one place alone may know, that place.
var owners = []struct {
	module string
	places []string
}{
	{"github.com/labstack/echo", []string{"api"}},
	{"github.com/swaggo", []string{"api"}},
	{"github.com/coder/websocket", nil},
	{"github.com/prometheus", []string{"api/statistics"}},
	{"github.com/chromedp", nil},
	{"github.com/caddyserver/certmagic", []string{"api/certificate/acme"}},
	{"github.com/mholt/acmez", []string{"api/certificate/acme"}},
	{"go.uber.org/zap", []string{"api/certificate/acme"}},
	{"github.com/fsnotify/fsnotify", []string{"api/certificate"}},
	{"github.com/pires/go-proxyproto", []string{"api"}},
	{"github.com/mattn/go-sqlite3", []string{"settingsdb"}},
	{"github.com/coreos/go-systemd", []string{""}},
	{"github.com/alecthomas/kong", []string{""}},
	{"github.com/hashicorp/memberlist", []string{"balancer/directory"}},
	{"github.com/google/nftables", []string{"gateway/kernel"}},
	{"github.com/mdlayher/netlink", []string{"gateway/kernel"}},
	{"github.com/vishvananda/netlink", []string{"vrrp", "gateway/kernel"}},
	{"github.com/google/go-cmp", nil},
	{"github.com/rogpeppe/go-internal", nil},
	{"go.uber.org/goleak", nil},
	{"pgregory.net/rapid", nil},
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		report(t, importFindings(p))
	}
}

func TestImportFindings(t *testing.T) {
	own := func(names ...string) []string {
		for i, n := range names {
			names[i] = strings.TrimSuffix(module+"/"+n, "/")
		}
		return names
	}
	for _, tt := range []struct {
		name    string
		from    string
		imports []string
		tests   []string
		want    int
	}{
		{"main takes every part", "", own("api", "gateway", "settingsdb", "gateway/rfb/desktop"), nil, 0},
		{"api takes the parts below it", "api", own("gateway", "settingsdb"), nil, 0},
		{"api reaches past a part", "api", own("gateway/relay"), nil, 1},
		{"gateway takes its own", "gateway", own("gateway/relay", "gateway/rfb"), nil, 0},
		{"below gateway, a neighbour", "gateway/rfb/desktop", own("gateway/rfb"), nil, 0},
		{"below gateway, upwards", "gateway/relay", own("gateway"), nil, 1},
		{"gateway knows the document", "gateway", own("settingsdb"), nil, 1},
		{"settingsdb knows the gateway", "settingsdb", own("gateway"), nil, 1},
		{"a part's test knows another part", "settingsdb", nil, own("gateway"), 1},
		{"a part knows api", "gateway", own("api"), nil, 1},
		{"a part knows main", "api", own(""), nil, 1},
		{"a package nobody drew", "utils", nil, nil, 1},
		{"code imports tests", "gateway", own("tests/lab"), nil, 1},
		{"tests import tests", "gateway", nil, own("tests/lab"), 0},
		{"tests import anything", "tests/bench", own("gateway/relay", "settingsdb"), nil, 0},
		{"echo in api", "api", []string{"github.com/labstack/echo/v4/middleware"}, nil, 0},
		{"echo in gateway", "gateway", []string{"github.com/labstack/echo/v4"}, nil, 1},
		{"sqlite in main", "", []string{"github.com/mattn/go-sqlite3"}, nil, 1},
		{"netlink in its places", "gateway/kernel", []string{"github.com/vishvananda/netlink/nl"}, nil, 0},
		{"go-cmp in code", "api", []string{"github.com/google/go-cmp/cmp"}, nil, 1},
		{"go-cmp in tests", "api", nil, []string{"github.com/google/go-cmp/cmp"}, 0},
		{"a module that only begins alike", "gateway", []string{"github.com/swaggoat/x"}, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := goPackage{
				ImportPath: strings.TrimSuffix(module+"/"+tt.from, "/"),
				Imports:    tt.imports, XTestImports: tt.tests,
			}
			if got := importFindings(p); len(got) != tt.want {
				t.Errorf("got %q, want %d findings", got, tt.want)
			}
		})
	}
}

// importFindings says which imports of p break the drawing.
func importFindings(p goPackage) []string {
	from := p.name()
	if below(from, "tests") {
		return nil
	}
	if _, drawn := arrows[part(from)]; !drawn {
		return []string{fmt.Sprintf("package %s is in no part of docs/architecture.md: move it below one, or draw a new part there and in arrows (tests/policy)", from)}
	}
	var findings []string
	for _, imported := range p.Imports {
		findings = append(findings, codeFindings(from, imported)...)
	}
	for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
		if to, own := ownName(imported); own && !below(to, "tests") && to != from && !drawn(from, to) {
			findings = append(findings, fmt.Sprintf("tests of %s import %s: test it through an interface, or from the root or tests/", label(from), label(to)))
		}
	}
	return findings
}

// codeFindings judges one import outside tests.
func codeFindings(from, imported string) []string {
	if to, own := ownName(imported); own {
		switch {
		case below(to, "tests"):
			return []string{fmt.Sprintf("%s imports %s: code does not use what lies in tests/; move it where it belongs", label(from), label(to))}
		case !drawn(from, to):
			return []string{fmt.Sprintf("%s imports %s, against the drawing of docs/architecture.md: declare the interface or func you need in %[1]s and let app.go plug it in", label(from), label(to))}
		}
		return nil
	}
	for _, o := range owners {
		if !below(imported, o.module) || slices.ContainsFunc(o.places, func(place string) bool { return from == place || place != "" && below(from, place) }) {
			continue
		}
		where := "tests"
		if o.places != nil {
			where = label(o.places[0])
		}
		return []string{fmt.Sprintf("%s imports %s, which only %s may know: move that code there", label(from), imported, where)}
	}
	return nil
}

// drawn reports whether from may import to.
func drawn(from, to string) bool {
	a, b := part(from), part(to)
	if a == b {
		return to != b || from == to
	}
	if !slices.Contains(arrows[a], b) {
		return false
	}
	return a == "" || to == b // only main knows what lies below a part
}

// ownName is the name below the module of one of its packages.
func ownName(imported string) (string, bool) {
	if imported == module {
		return "", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// part is the top folder of a package's name.
func part(name string) string {
	top, _, _ := strings.Cut(name, "/")
	return top
}

// below reports whether path is folder or lies in it.
func below(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func label(name string) string {
	if name == "" {
		return "main"
	}
	return name
}
