package policy

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"testing"
)

func TestPackageVariables(t *testing.T) {
	folders := map[string][]source{}
	for _, s := range sources(t) {
		key := s.folder() + " " + s.file.Name.Name
		folders[key] = append(folders[key], s)
	}
	for _, files := range folders {
		report(t, variableFindings(files))
	}
}

func TestVariableFindings(t *testing.T) {
	for _, tt := range []struct {
		name string
		path string
		text string
		want int
	}{
		{"a table that stays", "api/a.go", "var codes = map[string]int{\"a\": 1}\nfunc f() int { return codes[\"a\"] }", 0},
		{"assigned", "api/a.go", "var n int\nfunc f() { n = 1 }", 1},
		{"counted", "api/a.go", "var n int\nfunc f() { n++ }", 1},
		{"an element assigned", "api/a.go", "var m = map[int]int{}\nfunc f() { m[1] = 2 }", 1},
		{"a field assigned", "api/a.go", "var s struct{ n int }\nfunc f() { s.n = 2 }", 1},
		{"deleted from", "api/a.go", "var m = map[int]int{}\nfunc f() { delete(m, 1) }", 1},
		{"a local one of the same name", "api/a.go", "var n int\nfunc f() { n := 1; n = 2; _ = n }", 0},
		{"a lock", "api/a.go", "import \"sync\"\nvar mu sync.Mutex", 1},
		{"an atomic", "api/a.go", "import \"sync/atomic\"\nvar n = atomic.Int64{}", 1},
		{"in a test", "api/a_test.go", "var n int\nfunc f() { n = 1 }", 1},
		{"another package's", "api/a_test.go", "import \"os\"\nfunc f() { os.Args = nil }", 1},
		{"an interface that is met", "api/a.go", "type t int\nvar _ error = t(0)\nfunc (t) Error() string { return \"\" }", 0},
		{"in tests/", "tests/lab/a.go", "var n int\nfunc f() { n = 1 }", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := planted(t, tt.path, "package api\n"+tt.text)
			if got := variableFindings([]source{s}); len(got) != tt.want {
				t.Errorf("got %q, want %d findings", got, tt.want)
			}
		})
	}
}

// variableFindings looks for package variables that change after they were set.
// It sees assignments; a change through a pointer escapes it.
func variableFindings(files []source) []string {
	pkg, uses := resolve(files)
	var findings []string
	for _, s := range files {
		changed := func(n ast.Node, e ast.Expr) {
			if v := packageVariable(pkg, uses, e); v != "" {
				findings = append(findings, fmt.Sprintf("%s: package variable %s changes: make it a field of what owns it, or an argument", s.at(n), v))
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool { inspectChange(n, changed); return true })
		findings = append(findings, shared(s)...)
	}
	return findings
}

// inspectChange calls changed for every expression that n gives a new value.
func inspectChange(n ast.Node, changed func(ast.Node, ast.Expr)) {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, e := range n.Lhs {
				changed(n, e)
			}
		}
	case *ast.IncDecStmt:
		changed(n, n.X)
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"delete", "clear"}, f.Name) && len(n.Args) > 0 {
			changed(n, n.Args[0])
		}
	}
}

// resolve finds what names stand for. Other packages are not loaded: their names
// stay unknown, which does not matter here.
func resolve(files []source) (*types.Package, map[*ast.Ident]types.Object) {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: noImporter{}, Error: func(error) {}}
	var parsed []*ast.File
	for _, s := range files {
		parsed = append(parsed, s.file)
	}
	pkg, _ := conf.Check(files[0].file.Name.Name, files[0].fset, parsed, info)
	return pkg, info.Uses
}

// packageVariable is the name of the package variable that e is, or is part of.
func packageVariable(pkg *types.Package, uses map[*ast.Ident]types.Object, e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.Ident:
			switch o := uses[x].(type) {
			case *types.PkgName:
				return x.Name + ".*" // another package's
			case *types.Var:
				if o.Parent() == pkg.Scope() {
					return x.Name
				}
			}
			return ""
		default:
			return ""
		}
	}
}

// shared looks for package variables made to be changed: locks and atomics.
func shared(s source) []string {
	var findings []string
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		ast.Inspect(g, func(n ast.Node) bool {
			if _, function := n.(*ast.FuncLit); function {
				return false
			}
			if sel, ok := n.(*ast.SelectorExpr); ok && syncType(s, sel) {
				findings = append(findings, fmt.Sprintf("%s: a package variable of type %s is made to change: put it into a struct, beside what it guards", s.at(n), sel.Sel.Name))
			}
			return true
		})
	}
	return findings
}

func syncType(s source, sel *ast.SelectorExpr) bool {
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return false
	}
	return importedAs(s, x.Name, "sync/atomic") ||
		importedAs(s, x.Name, "sync") && slices.Contains([]string{"Mutex", "RWMutex", "Once", "Map", "WaitGroup"}, sel.Sel.Name)
}

// noImporter knows no package.
type noImporter struct{}

func (noImporter) Import(path string) (*types.Package, error) {
	return nil, errors.New("not loaded: " + path)
}
