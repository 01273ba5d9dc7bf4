package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"
)

//go:embed page novnc/core novnc/vendor novnc/LICENSE.txt novnc/AUTHORS novnc/docs
var tree embed.FS

// index is the page; the other files are known by where it asks for them.
const index = "page/index.html"

// kinds are the types of what is served, by extension; a file of another one is a
// mistake that a test finds.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	"":     "text/plain; charset=utf-8", // licences
	".txt": "text/plain; charset=utf-8",
	".md":  "text/plain; charset=utf-8",
	".0":   "text/plain; charset=utf-8", // LICENSE.MPL-2.0
}

// unused are modules that come with noVNC and that nothing imports.
var unused = []string{"novnc/vendor/pako/lib/zlib/constants.js", "novnc/vendor/pako/lib/zlib/gzheader.js"}

// embedded are all files by the path they are served at.
func embedded() map[string]file {
	texts := assets()
	base := root + digest(texts)
	files := map[string]file{}
	for name, text := range texts {
		files[base+"/"+name] = file{
			kind: kinds[path.Ext(name)], cache: "public, max-age=31536000, immutable",
			etag: `W/"` + digest(map[string][]byte{name: text}) + `"`, text: text,
		}
	}
	files[root] = file{kind: "text/html; charset=utf-8", cache: "no-store", text: render(base, slices.Sorted(maps.Keys(texts)))}
	return files
}

// assets are the files beside the page, by their path below the common one: ours
// at its top, noVNC's in novnc/.
func assets() map[string][]byte {
	texts := map[string][]byte{}
	// Reading what the compiler put into the binary does not fail.
	_ = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && name != index {
			texts[strings.TrimPrefix(name, "page/")], err = tree.ReadFile(name)
		}
		return err
	})
	return texts
}

// digest stands for names and contents.
func digest(texts map[string][]byte) string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		one := sha256.Sum256(texts[name])
		sum.Write([]byte(name + "\x00"))
		sum.Write(one[:])
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// render makes the page for files below base. It names every module, so that a
// browser fetches all at once and not one after the other as they import each
// other.
func render(base string, names []string) []byte {
	var modules []string
	for _, name := range names {
		if path.Ext(name) == ".js" && name != "main.js" && !slices.Contains(unused, name) {
			modules = append(modules, base+"/"+name)
		}
	}
	text, err := tree.ReadFile(index)
	if err != nil {
		panic("console: " + err.Error()) // it is in the binary
	}
	var page bytes.Buffer
	// The values are paths made here: nothing in them needs an escape.
	err = template.Must(template.New("page").Parse(string(text))).Execute(&page, struct {
		Base    string
		Modules []string
	}{base, modules})
	if err != nil {
		panic("console: " + err.Error()) // a test renders the very same
	}
	return page.Bytes()
}
