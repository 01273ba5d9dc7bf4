package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestUpToDate compares the committed file with what would be written now.
func TestUpToDate(t *testing.T) {
	watch(t)
	if _, err := os.Stat(filepath.Join(root, "main.go")); err != nil {
		t.Skip("there is no main.go yet, so nothing is linked")
	}
	works, err := all(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatalf("%v: run make generate and commit it", err)
	}
	if string(got) != string(render(works)) {
		t.Errorf("%s is not what is linked now: run make generate and commit it", file)
	}
}

func TestLicenceName(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	bsd2 := strings.Replace(read("go-license.txt"), "Neither the name", "", 1)
	mit := "Permission is hereby granted, free\nof charge, to any person ... without restriction"
	for _, tt := range []struct {
		name  string
		texts []string
		want  string
	}{
		{"Apache", []string{read(filepath.Join(root, "LICENSE"))}, "Apache-2.0"},
		{"three clauses", []string{read("go-license.txt")}, "BSD-3-Clause"},
		{"two clauses", []string{bsd2}, "BSD-2-Clause"},
		{"MIT across lines", []string{mit}, "MIT"},
		{"two licences", []string{mit, read(filepath.Join(root, "LICENSE"))}, "Apache-2.0 AND MIT"},
		{"unknown", []string{"all rights reserved"}, ""},
		{"public domain", []string{"Creative Commons Legal Code\n\nCC0 1.0 Universal\n"}, "CC0-1.0"},
		{"no text", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := licenceName(tt.texts); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVendored(t *testing.T) {
	works, err := vendored(root)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ name, licence, words string }{
		{"noVNC", "MPL-2.0", "Mozilla Public License Version 2.0"},
		{"pako", "MIT", "Vitaly Puzrin"},
		{"DES", "BSD-2-Clause and similar", "Copyright (C) 1996 by Jef Poskanzer"},
	} {
		got := works[i]
		if !strings.HasPrefix(got.name, want.name) || got.licence != want.licence || !strings.Contains(strings.Join(got.texts, "\n"), want.words) {
			t.Errorf("got %q under %q, want %s under %s with %q in its text", got.name, got.licence, want.name, want.licence, want.words)
		}
	}
	if _, err := lockedVersion(filepath.Join(root, novnc, "package-lock.json"), "node_modules/else"); err == nil {
		t.Error("got a version of a package that is not in the lock file")
	}
}

func TestRenderPrintsATextOnce(t *testing.T) {
	same := "the same\ttext  \r\nhere\n\n"
	got := string(render([]work{
		{"example.org/a", "v1.0.0", "MIT", []string{same}},
		{"example.org/b", "v2.0.0", "MIT", []string{tidy(same), "a notice"}},
	}))
	if n := strings.Count(got, "the same\ttext\nhere\n"); n != 1 {
		t.Errorf("got the shared text %d times, want once in:\n%s", n, got)
	}
	if !strings.Contains(got, "example.org/a\nexample.org/b\n") {
		t.Errorf("got no heading that names both modules in:\n%s", got)
	}
	if !strings.HasSuffix(got, "a notice\n") {
		t.Errorf("got no notice at the end of:\n%s", got)
	}
}

func TestLicenceTexts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"NOTICE": "n", "LICENSE.txt": "l", "license.go": "x", "README.md": "x", "COPYING": "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := licenceTexts(dir)
	if err != nil || !slices.Equal(got, []string{"c", "l", "n"}) {
		t.Errorf("got %q, %v, want the licences, then the notice", got, err)
	}
}

// watch opens the folders of the tree, so that go test's cache notices changed
// imports: it sees only what the test itself opens.
func watch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && slices.Contains([]string{".git", "bin", "testdata"}, d.Name()) {
			return fs.SkipDir
		}
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
