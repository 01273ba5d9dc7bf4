package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	mdLink    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	mdCode    = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestLinks(t *testing.T) {
	links := 0
	for _, path := range walk(t) {
		if filepath.Ext(path) != ".md" || below(path, "tests/tools") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		links += len(mdLink.FindAll(text, -1))
		report(t, linkFindings(root, path, string(text)))
	}
	if links == 0 {
		t.Error("got no link in any page, want README.md to lead into docs/")
	}
}

func TestLinkFindings(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other.md"), []byte("# Some `Title`, here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		text string
		want int
	}{
		{"a file", "[a](other.md)", 0},
		{"no file", "[a](missing.md) and ![b](missing.svg)", 2},
		{"a heading", "[a](other.md#some-title-here)", 0},
		{"no such heading", "[a](other.md#title)", 1},
		{"a heading of its own page", "# One\n[a](#one) [b](#two)", 1},
		{"the web", "[a](https://example.org/x)", 0},
		{"code that looks like one", "`m[k](v)` \n```\n[a](b)\n```", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := linkFindings(dir, "page.md", tt.text); len(got) != tt.want {
				t.Errorf("got %q, want %d findings", got, tt.want)
			}
		})
	}
}

// linkFindings follows the links of a page to files and headings below dir.
func linkFindings(dir, page, text string) []string {
	var findings []string
	for _, m := range mdLink.FindAllStringSubmatch(mdCode.ReplaceAllString(text, ""), -1) {
		if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		target := text
		if file != "" {
			path := filepath.Join(dir, filepath.Dir(page), file)
			if _, err := os.Stat(path); err != nil {
				findings = append(findings, fmt.Sprintf("%s links to %s, which is not there: correct the link or write the page", page, m[1]))
				continue
			}
			read, _ := os.ReadFile(path)
			target = string(read)
		}
		if anchor != "" && !slices.Contains(headings(target), anchor) {
			findings = append(findings, fmt.Sprintf("%s links to %s, which has no such heading: it has %q", page, m[1], headings(target)))
		}
	}
	return findings
}

// headings are the anchors of a page, as the usual viewers make them.
func headings(text string) []string {
	var all []string
	for _, m := range mdHeading.FindAllStringSubmatch(text, -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}
