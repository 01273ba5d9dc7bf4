package policy

import (
	"fmt"
	"go/ast"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// docWords is the least number of words of a package comment: a short manual,
// not a label.
const docWords = 15

func TestPackageComments(t *testing.T) {
	folders := map[string][]source{}
	for _, s := range sources(t) {
		if !s.test {
			folders[s.folder()] = append(folders[s.folder()], s)
		}
	}
	for folder, files := range folders {
		report(t, commentFindings(folder, files))
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		report(t, initFindings(s))
	}
}

func TestOnlyMainEnds(t *testing.T) {
	for _, s := range sources(t) {
		report(t, endFindings(s))
	}
}

func TestSourceFindings(t *testing.T) {
	comments := func(s source) []string { return commentFindings(s.folder(), []source{s}) }
	manual := strings.Repeat(" word", docWords)
	for _, tt := range []struct {
		name string
		rule func(source) []string
		path string
		text string
		want int
	}{
		{"a manual", comments, "gateway/doc.go", "// Package gateway" + manual + ".\npackage gateway", 0},
		{"no comment", comments, "gateway/a.go", "package gateway", 1},
		{"another beginning", comments, "gateway/a.go", "// Gateway" + manual + ".\npackage gateway", 1},
		{"a label", comments, "gateway/a.go", "// Package gateway opens ports.\npackage gateway", 1},
		{"a command", comments, "main.go", "// Command vdi-gateway" + manual + ".\npackage main", 0},
		{"an init", initFindings, "api/a.go", "package api\nfunc init() {}", 1},
		{"a method called init", initFindings, "api/a.go", "package api\ntype a int\nfunc (a) init() {}", 0},
		{"os.Exit in a part", endFindings, "api/a.go", "package api\nimport \"os\"\nfunc f() { os.Exit(1) }", 1},
		{"os.Exit under another name", endFindings, "api/a.go", "package api\nimport o \"os\"\nfunc f() { o.Exit(1) }", 1},
		{"signals in a part", endFindings, "gateway/a.go", "package gateway\nimport \"os/signal\"\nvar f = signal.NotifyContext", 1},
		{"a logger's Fatal in a part", endFindings, "gateway/a.go", "package gateway\nfunc f(log l) { log.Fatalf(\"no\") }", 1},
		{"os.Exit in main", endFindings, "main.go", "package main\nimport \"os\"\nfunc f() { os.Exit(1) }", 0},
		{"os.Exit in a test", endFindings, "api/a_test.go", "package api\nimport \"os\"\nfunc f() { os.Exit(1) }", 0},
		{"a method called Exit", endFindings, "api/a.go", "package api\nfunc f(x y) { x.Exit(1) }", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.rule(planted(t, tt.path, tt.text)); len(got) != tt.want {
				t.Errorf("got %q, want %d findings", got, tt.want)
			}
		})
	}
}

// commentFindings judges the package comment of the files of one folder.
func commentFindings(folder string, files []source) []string {
	var docs []string
	name := files[0].file.Name.Name
	for _, s := range files {
		if s.file.Doc != nil {
			docs = append(docs, s.file.Doc.Text())
		}
	}
	start := "Package " + name + " "
	if name == "main" {
		start = "Command " + commandName(folder) + " "
	}
	doc := strings.Join(docs, "\n")
	switch {
	case len(docs) == 0:
		return []string{fmt.Sprintf("%s has no package comment: write a short manual that begins with %q", label(folder), start)}
	case !strings.HasPrefix(doc, start):
		return []string{fmt.Sprintf("the package comment of %s begins with %.30q: let it begin with %q", label(folder), doc, start)}
	case len(strings.Fields(doc)) < docWords:
		return []string{fmt.Sprintf("the package comment of %s is a label: say in a few sentences what it does, who owns what and how it fails", label(folder))}
	}
	return nil
}

// commandName is what a main package is called when built.
func commandName(folder string) string {
	if folder == "" {
		return module
	}
	return filepath.Base(folder)
}

func initFindings(s source) []string {
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			return []string{s.at(f) + ": init() runs unseen and in an order nobody chose: do it in New or in main"}
		}
	}
	return nil
}

// endFindings looks for code outside main that ends the process or takes its
// signals.
func endFindings(s source) []string {
	if s.test || s.folder() == "" || below(s.folder(), "tests") {
		return nil
	}
	var findings []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if name := ends(s, sel); name != "" {
			findings = append(findings, fmt.Sprintf("%s: %s is main's alone: return an error, or take a context", s.at(n), name))
		}
		return true
	})
	return findings
}

// ends is the name of what sel calls if that ends the process or takes signals.
func ends(s source, sel *ast.SelectorExpr) string {
	x, ok := sel.X.(*ast.Ident)
	if ok && importedAs(s, x.Name, "os") && sel.Sel.Name == "Exit" {
		return "os.Exit"
	}
	if ok && importedAs(s, x.Name, "os/signal") {
		return "signal." + sel.Sel.Name
	}
	if slices.Contains([]string{"Fatal", "Fatalf", "Fatalln"}, sel.Sel.Name) {
		return sel.Sel.Name
	}
	return ""
}

// importedAs reports whether name stands for the standard package path in s.
func importedAs(s source, name, path string) bool {
	for _, i := range s.file.Imports {
		if strings.Trim(i.Path.Value, `"`) != path {
			continue
		}
		if i.Name != nil {
			return i.Name.Name == name
		}
		return filepath.Base(path) == name
	}
	return false
}
