package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// novnc is what the console page takes of noVNC, as `make novnc` copies it.
const novnc = "api/console/novnc"

// vendored lists the works of others that lie in the repository and are embedded
// into the binary: noVNC's library, and what that contains in turn.
func vendored(root string) ([]work, error) {
	version, err := lockedVersion(filepath.Join(root, novnc, "package-lock.json"), "node_modules/@novnc/novnc")
	if err != nil {
		return nil, err
	}
	works := []work{
		{name: "noVNC (" + novnc + ")", version: version},
		{name: "pako (in noVNC)", version: "1.0.3"}, // as vendor/pako/README.md says
		{name: "DES (in noVNC, core/crypto/des.js)"},
	}
	for i, files := range [][]string{{"LICENSE.txt", "AUTHORS", "docs/LICENSE.MPL-2.0"}, {"vendor/pako/LICENSE"}, {"core/crypto/des.js"}} {
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(root, novnc, file))
			if err != nil {
				return nil, err
			}
			works[i].texts = append(works[i].texts, comment(file, string(text)))
		}
	}
	// The first file of noVNC names the licences of what it contains as well, and
	// the comment in the third has the terms of three authors: both were read.
	works[0].licence, works[1].licence, works[2].licence = "MPL-2.0", licenceName(works[1].texts), "BSD-2-Clause and similar"
	return works, nil
}

// lockedVersion is the version of a package in a lock file of npm.
func lockedVersion(path, name string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if lock.Packages[name].Version == "" {
		return "", fmt.Errorf("%s has no version of %s", path, name)
	}
	return lock.Packages[name].Version, nil
}

// comment is a licence's text: of a source file the comment that opens it, any
// other file as a whole.
func comment(file, text string) string {
	if filepath.Ext(file) != ".js" {
		return text
	}
	text, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), "/*"), "*/")
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimPrefix(l, " *"), " ")
	}
	return strings.Join(lines, "\n")
}
