package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the top of the repository as seen from this package's folder.
const root = "../.."

// module is the module's path in go.mod.
const module = "vdi-gateway"

// goPackage is what `go list` knows about one package of the module.
type goPackage struct {
	ImportPath   string
	Dir          string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// name is the import path below the module, "" for the root.
func (p goPackage) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// packages lists the module's packages, with the files of end-to-end tests.
func packages(t *testing.T) []goPackage {
	t.Helper()
	watch(t)
	out := run(t, "go", "list", "-e", "-tags", "e2e", "-json=ImportPath,Dir,Imports,TestImports,XTestImports", "./...")
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		all = append(all, p)
	}
}

// watch opens every folder of the tree, so that go test's cache, which sees
// only what the test itself opens, notices a file that came or went.
func watch(t *testing.T) {
	t.Helper()
	walk(t)
	_, _ = os.Stat(filepath.Join(root, ".git", "index"))
}

// run returns the output of a command at the top of the repository.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// source is one parsed Go file.
type source struct {
	path string // below root
	test bool
	file *ast.File
	fset *token.FileSet
}

// at says where n is, as path:line.
func (s source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

// folder is the package's folder below root, "" for the root itself.
func (s source) folder() string {
	dir := filepath.Dir(s.path)
	if dir == "." {
		return ""
	}
	return dir
}

// sources parses every Go file of the module. Files that do not parse are left
// to the compiler.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	fset := token.NewFileSet()
	for _, path := range walk(t) {
		if filepath.Ext(path) != ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if s, err := parse(fset, path, string(text)); err == nil {
			all = append(all, s)
		}
	}
	return all
}

func parse(fset *token.FileSet, path, text string) (source, error) {
	s := source{path: path, test: strings.HasSuffix(path, "_test.go"), fset: fset}
	var err error
	s.file, err = parser.ParseFile(s.fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

// planted parses text written for a table.
func planted(t *testing.T, path, text string) source {
	t.Helper()
	s, err := parse(token.NewFileSet(), path, text)
	if err != nil {
		t.Fatalf("the planted source does not parse: %v", err)
	}
	return s
}

// walk lists every file below root, without git's own, what the linters are
// built into and test data.
func walk(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a file another test removed meanwhile
		}
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "testdata", "node_modules"}, d.Name()) {
			return fs.SkipDir
		}
		if !d.IsDir() {
			below, _ := filepath.Rel(root, path)
			all = append(all, below)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// committed lists the files git knows. Without git (an unpacked archive) the
// test is skipped: what lies there may have been built there.
func committed(t *testing.T) []string {
	t.Helper()
	watch(t)
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skip("needs a git checkout to know which files belong to the repository")
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}

// report fails the test once per finding.
func report(t *testing.T, findings []string) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}
