package statistics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	metricsPage = "../../docs/metrics.md"
	dashboard   = "../../packaging/grafana/vdi-gateway.json"
)

// served is everything a node in a cluster serves: types by name, and all labels.
func served(t *testing.T) (e exposition, labels map[string][]string) {
	t.Helper()
	_, _, url := started(t, three())
	e = scrape(t, url)
	labels = map[string][]string{}
	label := regexp.MustCompile(`(\w+)="`)
	for series := range e.series {
		name, rest, _ := strings.Cut(series, "{")
		name = e.family(name)
		for _, l := range label.FindAllStringSubmatch(rest, -1) {
			if l[1] != "le" && !slices.Contains(labels[name], l[1]) {
				labels[name] = append(labels[name], l[1])
			}
		}
	}
	return e, labels
}

// family is the metric that the series name belongs to.
func (e exposition) family(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(name, suffix); cut && e.types[base] == "histogram" {
			return base
		}
	}
	return name
}

func TestTheDocumentListsWhatIsServed(t *testing.T) {
	text, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	e, labels := served(t)
	missing := map[string]bool{}
	for name := range e.types {
		missing[name] = true
	}
	rows := regexp.MustCompile("(?m)^\\| `(vdigateway_\\w+)` \\| (\\w+) \\| (.*?) ?\\| ").FindAllStringSubmatch(string(text), -1)
	for _, row := range rows {
		name := row[1]
		if kind := e.types[name]; kind != row[2] {
			t.Errorf("%s: documented as %s, served as %q", name, row[2], kind)
		}
		documented := strings.FieldsFunc(row[3], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		slices.Sort(documented)
		slices.Sort(labels[name])
		if !slices.Equal(documented, labels[name]) {
			t.Errorf("%s: labels %v are documented, %v are served", name, documented, labels[name])
		}
		delete(missing, name)
	}
	for name := range missing {
		t.Errorf("%s is not in %s", name, metricsPage)
	}
	for _, name := range regexp.MustCompile(`vdigateway_\w+`).FindAllString(string(text), -1) {
		if e.types[e.family(name)] == "" {
			t.Errorf("%s is in %s and not served", name, metricsPage)
		}
	}
}

// panel is what counts of a panel of Grafana.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr, LegendFormat string }
}

func TestTheDashboardShowsWhatIsServed(t *testing.T) {
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels     []panel
		Templating struct{ List []struct{ Name, Type string } }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" {
		t.Error("the first variable is not the data source")
	}
	e, labels := served(t)
	shown := map[string]bool{}
	for _, p := range d.Panels {
		p.check(t, e, labels, shown)
	}
	for name := range e.types {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

var (
	metricName = regexp.MustCompile(`\b(?:vdigateway|process|go)_\w+`)
	matcher    = regexp.MustCompile(`(\w+)=~?"`)
	grouping   = regexp.MustCompile(`by \(([\w, ]+)\)`)
	legend     = regexp.MustCompile(`{{(\w+)}}`)
)

// check looks that p asks for metrics and labels there are, and notes them.
func (p panel) check(t *testing.T, e exposition, labels map[string][]string, shown map[string]bool) {
	t.Helper()
	if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W == 0 {
		t.Errorf("panel %q lies at %+v, outside of the grid", p.Title, p.GridPos)
	}
	if p.Type != "row" && len(p.Targets) == 0 {
		t.Errorf("panel %q asks for nothing", p.Title)
	}
	for _, target := range p.Targets {
		known := []string{"job", "instance", "le"}
		for _, name := range metricName.FindAllString(target.Expr, -1) {
			family := e.family(name)
			shown[family] = true
			known = append(known, labels[family]...)
			if !slices.Contains(e.names(), name) {
				t.Errorf("panel %q: %s is not served", p.Title, name)
			}
		}
		for _, used := range labelsOf(target.Expr, target.LegendFormat) {
			if !slices.Contains(known, used) {
				t.Errorf("panel %q: nothing in %s has a label %s", p.Title, target.Expr, used)
			}
		}
	}
}

func labelsOf(expr, format string) []string {
	var used []string
	for _, m := range append(matcher.FindAllStringSubmatch(expr, -1), legend.FindAllStringSubmatch(format, -1)...) {
		used = append(used, m[1])
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		used = append(used, strings.Split(m[1], ", ")...)
	}
	return used
}

// names are those of all series.
func (e exposition) names() []string {
	var names []string
	for series := range e.series {
		name, _, _ := strings.Cut(series, "{")
		names = append(names, name)
	}
	return names
}
