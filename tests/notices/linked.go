package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// work is something of others that is part of the binary.
type work struct {
	name    string // module path, or what it is called
	version string // "" where the module that holds it says it
	licence string
	texts   []string
}

//go:embed go-license.txt
var goLicence string

// linked lists what the binary made in root consists of, sorted by name.
func linked(ctx context.Context, root string) ([]work, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f",
		"{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", ".")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -deps: %w\n%s", err, stderr.Bytes())
	}
	works := []work{{name: "Go, its runtime and standard library", licence: "BSD-3-Clause", texts: []string{goLicence}}}
	lines := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		found, err := module(strings.Split(line, "\t"))
		if err != nil {
			return nil, err
		}
		works = append(works, found...)
	}
	return works, nil
}

// module reads the licence of one module, given as path, version and folder,
// and adds what it carries inside.
func module(fields []string) ([]work, error) {
	if len(fields) != 3 {
		return nil, fmt.Errorf("go list: unexpected line %q", fields)
	}
	path, version, dir := fields[0], fields[1], fields[2]
	texts, err := licenceTexts(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	name := licenceName(texts)
	if name == "" {
		return nil, fmt.Errorf("%s %s: no licence that this program knows in %q; read it, then teach licenceName", path, version, texts)
	}
	return append([]work{{path, version, name, texts}}, inside(path)...), nil
}

// licenceTexts are the texts that lie at the top of a module, licences first.
func licenceTexts(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var licences, notices []string
	for _, e := range entries {
		kind := strings.ToLower(e.Name())
		if e.IsDir() || filepath.Ext(kind) == ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		switch {
		case err != nil:
			return nil, err
		case strings.HasPrefix(kind, "licen"), strings.HasPrefix(kind, "copying"), strings.HasPrefix(kind, "unlicense"):
			licences = append(licences, string(text))
		case strings.HasPrefix(kind, "notice"):
			notices = append(notices, string(text))
		}
	}
	return append(licences, notices...), nil
}

// inside names works that a module carries and that have a licence of their own.
func inside(path string) []work {
	switch path {
	case "github.com/mattn/go-sqlite3":
		return []work{{
			name: "SQLite (in github.com/mattn/go-sqlite3)", licence: "public domain",
			texts: []string{"The authors of SQLite have dedicated its code to the public domain:\nhttps://www.sqlite.org/copyright.html\n"},
		}}
	case "github.com/swaggo/files/v2":
		return []work{{
			name: "Swagger UI (in github.com/swaggo/files/v2)", licence: "Apache-2.0",
			texts: []string{"swagger-ui\nCopyright 2020-2021 SmartBear Software Inc.\n\nLicensed under the Apache License, Version 2.0, as printed in the file LICENSE\nof this repository. What its bundle contains in turn is listed with its source\n(https://github.com/swagger-api/swagger-ui, swagger-ui-bundle.js.LICENSE.txt).\n"},
		}}
	}
	return nil
}
