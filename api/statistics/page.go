package statistics

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strings"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// page serves the live page: complete as it is loaded, and kept up to date by
// its script. Style and script are in it, allowed by their hashes; nothing else
// may run and nothing be fetched from elsewhere.
func (s *Server) page() http.Handler {
	tmpl := template.Must(template.New("page").Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(pageCSS) }, //nolint:gosec // our own file
		"script": func() template.JS { return template.JS(pageJS) },    //nolint:gosec // our own file
		"count":  count[int], "total": count[uint64], "bytes": size, "class": class,
	}).Parse(pageHTML))
	policy := fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		hash(pageCSS), hash(pageJS))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		if err := tmpl.Execute(&b, s.state(math.MaxInt)); err != nil {
			s.deps.Log.WithError(err).Error("the statistics page cannot be made")
			http.Error(w, "the page cannot be made; the node's log tells why", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		// A failed write is a client that left.
		_, _ = w.Write(b.Bytes())
	})
}

// hash is the CSP source of an inline style or script.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// count writes n with thin spaces between thousands, as count of page.js does.
func count[N int | uint64](n N) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}

// size writes bytes in units of 1000, as size of page.js does.
func size(n uint64) string {
	v, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, next
	}
	if unit == "B" || v >= 100 {
		return fmt.Sprintf("%.0f\u202f%s", v, unit)
	}
	return fmt.Sprintf("%.1f\u202f%s", v, unit)
}

// class is a status as a CSS class.
func class(status string) string { return strings.ReplaceAll(status, " ", "-") }
