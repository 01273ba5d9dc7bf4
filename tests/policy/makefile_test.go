package policy

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wanted are the targets that README.md, the pages and people rely on.
var wanted = []string{"build", "demo", "test", "race", "fuzz", "lint", "bench", "bench-api", "bench-relay", "e2e", "generate", "package", "clean", "help"}

var (
	ruleLine = regexp.MustCompile(`(?m)^([a-z0-9-]+):((?:[^=\n].*)?)$`)
	helpText = regexp.MustCompile(`## \S+`)
	phony    = regexp.MustCompile(`(?m)^\.PHONY: (.*)$`)
)

func TestMakefile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, makeFindings(string(text)))
	help := string(run(t, "make", "--no-print-directory"))
	for _, target := range wanted {
		if !strings.Contains(help, "make "+target+" ") {
			t.Errorf("make without a target does not explain %s: give the rule its text after ##", target)
		}
	}
}

func TestMakeFindings(t *testing.T) {
	complete := ""
	for _, target := range wanted {
		complete += target + ": ## says what\n"
	}
	complete += ".PHONY: " + strings.Join(wanted, " ") + "\n"
	for _, tt := range []struct {
		name string
		text string
		want int
	}{
		{"complete", complete, 0},
		{"a target without help", strings.Replace(complete, "demo: ## says what", "demo:", 1), 1},
		{"a target gone", strings.Replace(complete, "race: ## says what\n", "", 1), 1},
		{"a target not phony", complete + "image: ## makes an image\n", 1},
		{"an assignment", complete + "name := value\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := makeFindings(tt.text); len(got) != tt.want {
				t.Errorf("got %q, want %d findings", got, tt.want)
			}
		})
	}
}

// TestFuzzTargets compares what `make fuzz` runs with the targets in the code.
func TestFuzzTargets(t *testing.T) {
	var want []string
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if s.test && ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") && f.Type.Params.NumFields() == 1 {
				want = append(want, strings.TrimSuffix("./"+s.folder(), "/")+" "+f.Name.Name)
			}
		}
	}
	got := strings.FieldsFunc(string(run(t, "tests/fuzz.sh", "--list")), func(r rune) bool { return r == '\n' })
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("tests/fuzz.sh --list: got %q, want %q: write a target as `func FuzzName(f *testing.F)` on one line", got, want)
	}
}

func makeFindings(text string) []string {
	var findings, targets, listed []string
	for _, m := range phony.FindAllStringSubmatch(text, -1) {
		listed = append(listed, strings.Fields(m[1])...)
	}
	for _, m := range ruleLine.FindAllStringSubmatch(text, -1) {
		targets = append(targets, m[1])
		if !helpText.MatchString(m[2]) {
			findings = append(findings, fmt.Sprintf("Makefile: target %s has no text after ##: say what it is for, make help shows it", m[1]))
		}
		if !slices.Contains(listed, m[1]) {
			findings = append(findings, fmt.Sprintf("Makefile: target %s is not in .PHONY: add it, or a file of that name would hide it", m[1]))
		}
	}
	for _, target := range wanted {
		if !slices.Contains(targets, target) {
			findings = append(findings, fmt.Sprintf("Makefile: target %s is missing: README.md and docs/contributing.md rely on it", target))
		}
	}
	return findings
}
