package console

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// nodes are the elements of the page.
func nodes(t *testing.T) []*html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(ask("GET", "/console/").Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// TestNothingIsInline looks that the page has all it needs under the policy, and
// no more.
func TestNothingIsInline(t *testing.T) {
	files := embedded()
	for _, n := range nodes(t) {
		if n.Data == "style" || n.Data == "script" && n.FirstChild != nil {
			t.Errorf("a <%s> with its text in the page", n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s> has %s", n.Data, a.Key)
			}
			if a.Key != "src" && a.Key != "href" || strings.HasPrefix(a.Val, "data:image/") {
				continue
			}
			if _, there := files[a.Val]; !there {
				t.Errorf("<%s> asks for %s, which is not served", n.Data, a.Val)
			}
		}
	}
}

func TestIdsAndReferences(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range nodes(t) {
		id := attribute(n, "id")
		if id != "" && seen[id] {
			t.Errorf("id %s is there twice", id)
		}
		seen[id] = true
	}
	for _, n := range nodes(t) {
		for _, name := range []string{"aria-labelledby", "aria-controls", "for"} {
			if id := attribute(n, name); id != "" && !seen[id] {
				t.Errorf("%s names %s, which is not there", name, id)
			}
		}
		if n.Data == "button" && attribute(n, "type") == "" {
			t.Errorf("button %q has no type, and would send a form", attribute(n, "id"))
		}
	}
	known := regexp.MustCompile(`\$\("([\w-]+)"\)|getElementById\("([\w-]+)"\)`)
	for name, text := range assets() {
		if strings.Contains(name, "/") {
			continue
		}
		for _, m := range known.FindAllStringSubmatch(string(text), -1) {
			if id := m[1] + m[2]; !seen[id] {
				t.Errorf("%s uses #%s, which is not in the page", name, id)
			}
		}
	}
}

var imports = regexp.MustCompile(`(?m)(?:^import\s+(?:[^"';]*?\sfrom\s+)?|^export\s[^"';]*?\sfrom\s+|\bimport\()["']([^"']+)["']`)

// TestThePageNamesEveryModule follows the imports from main.js: what the page
// preloads is what is imported, no more and no less.
func TestThePageNamesEveryModule(t *testing.T) {
	texts := assets()
	var follow func(name string, seen map[string]bool)
	follow = func(name string, seen map[string]bool) {
		if seen[name] {
			return
		}
		seen[name] = true
		text, there := texts[name]
		if !there {
			t.Fatalf("%s is imported and not served", name)
		}
		for _, m := range imports.FindAllStringSubmatch(string(text), -1) {
			follow(path.Join(path.Dir(name), m[1]), seen)
		}
	}
	seen := map[string]bool{}
	follow("main.js", seen)
	var named []string
	for _, n := range nodes(t) {
		if attribute(n, "rel") == "modulepreload" {
			name := strings.TrimPrefix(attribute(n, "href"), base(t)+"/")
			named = append(named, name)
			if !seen[name] {
				t.Errorf("%s is preloaded and imported by nothing", name)
			}
		}
	}
	for _, name := range unused {
		if seen[name] || texts[name] == nil {
			t.Errorf("%s counts as unused: got imported %t, there %t", name, seen[name], texts[name] != nil)
		}
	}
	if len(named) != len(seen)-1 || !seen["novnc/core/rfb.js"] || !seen["novnc/vendor/pako/lib/zlib/inflate.js"] {
		t.Errorf("got %d modules preloaded, want all %d that main.js imports", len(named), len(seen)-1)
	}
}

func TestEveryFileHasAType(t *testing.T) {
	var types []string
	for p, f := range embedded() {
		if f.kind == "" || len(f.text) == 0 {
			t.Errorf("%s: got type %q and %d bytes", p, f.kind, len(f.text))
		}
		w := ask("GET", p)
		if got := w.Header().Get("Content-Type"); w.Code != 200 || got != f.kind {
			t.Errorf("%s: got %d of type %q, want %q", p, w.Code, got, f.kind)
		}
		if !slices.Contains(types, f.kind) {
			types = append(types, f.kind)
		}
	}
	if len(types) != 4 {
		t.Errorf("got %q, want the page, scripts, styles and licences", types)
	}
	for _, licence := range []string{"LICENSE.txt", "docs/LICENSE.MPL-2.0", "vendor/pako/LICENSE"} {
		if w := ask("GET", base(t)+"/novnc/"+licence); w.Code != 200 {
			t.Errorf("%s: got %d, want noVNC's licences beside it", licence, w.Code)
		}
	}
}

// TestNothingFromElsewhere looks for addresses in what is ours.
func TestNothingFromElsewhere(t *testing.T) {
	address := regexp.MustCompile(`(?:https?:|wss?:)?//[\w-]+\.[\w.-]+`)
	for name, text := range assets() {
		if strings.HasPrefix(name, "novnc/") {
			continue
		}
		for _, found := range address.FindAllString(string(text), -1) {
			t.Errorf("%s names %s", name, found)
		}
	}
}
