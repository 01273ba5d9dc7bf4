package policy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// modulesPage gives the reason for each module.
const modulesPage = "docs/decisions/0001-modules.md"

var modulesRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// required is one line of go.mod.
type required struct {
	Path     string
	Indirect bool
}

func TestModules(t *testing.T) {
	var mod struct {
		Require []required
		Tool    []required
	}
	if err := json.Unmarshal(run(t, "go", "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, modulesPage))
	if err != nil {
		t.Fatal(err)
	}
	var imports []string
	for _, s := range sources(t) {
		for _, i := range s.file.Imports {
			imports = append(imports, strings.Trim(i.Path.Value, `"`))
		}
	}
	for _, tool := range mod.Tool {
		imports = append(imports, tool.Path)
	}
	report(t, moduleFindings(string(page), mod.Require, imports))
}

func TestModuleFindings(t *testing.T) {
	page := "| `example.org/a` | api | why |\n"
	for _, tt := range []struct {
		name    string
		require []required
		imports []string
		want    int
	}{
		{"listed", []required{{"example.org/a", false}}, nil, 0},
		{"direct, not listed", []required{{"example.org/a", false}, {"example.org/b", false}}, nil, 1},
		{"imported, not listed", []required{{"example.org/a", false}, {"example.org/b", true}}, []string{"example.org/b/sub"}, 1},
		{"brought along", []required{{"example.org/a", false}, {"example.org/b", true}}, nil, 0},
		{"listed, gone from go.mod", nil, nil, 1},
		{"the longest module path counts", []required{{"example.org/a", false}, {"example.org", true}}, []string{"example.org/a/sub"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := moduleFindings(page, tt.require, tt.imports); len(got) != tt.want {
				t.Errorf("got %q, want %d findings", got, tt.want)
			}
		})
	}
}

// moduleFindings compares the page with go.mod and with what the code imports.
func moduleFindings(page string, require []required, imports []string) []string {
	var listed, paths, findings []string
	for _, m := range modulesRow.FindAllStringSubmatch(page, -1) {
		listed = append(listed, m[1])
	}
	for _, r := range require {
		paths = append(paths, r.Path)
	}
	for _, r := range require {
		if (!r.Indirect || imported(r.Path, paths, imports)) && !slices.Contains(listed, r.Path) {
			findings = append(findings, fmt.Sprintf("%s has no line for %s: say where it is used and why, or do without it", modulesPage, r.Path))
		}
	}
	for _, path := range listed {
		if !slices.Contains(paths, path) {
			findings = append(findings, fmt.Sprintf("%s has a line for %s, which is not in go.mod: delete the line", modulesPage, path))
		}
	}
	return findings
}

// imported reports whether one of imports is a package of the module path.
func imported(path string, paths, imports []string) bool {
	return slices.ContainsFunc(imports, func(i string) bool { return owner(i, paths) == path })
}

// owner is the module of paths that holds the package: the longest that fits.
func owner(pkg string, paths []string) string {
	longest := ""
	for _, p := range paths {
		if below(pkg, p) && len(p) > len(longest) {
			longest = p
		}
	}
	return longest
}
