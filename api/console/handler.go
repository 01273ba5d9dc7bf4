package console

import (
	"net/http"
	"strconv"
	"strings"
)

// root is where the page is.
const root = "/console/"

// headers are on every answer: they say what the page may do, and who may use it.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
		"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'",
	"Referrer-Policy":        "no-referrer", // the address has had a ticket
	"X-Content-Type-Options": "nosniff",
	"X-Frame-Options":        "DENY", // for browsers that do not know frame-ancestors
	"Permissions-Policy": "clipboard-read=(self), clipboard-write=(self), fullscreen=(self), " +
		"accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), geolocation=(), gyroscope=(), " +
		"hid=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
}

// Handler serves the console page at /console/ and its files below. It knows exact
// paths only: anything else, a doubled slash or a dot segment included, is not
// found. It compresses nothing.
func Handler() http.Handler {
	files := embedded()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		f, found := files[r.URL.Path]
		switch {
		case !found || r.URL.EscapedPath() != r.URL.Path: // no file's name needs an escape
			fail(w, http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed)
		default:
			f.serve(w, r)
		}
	})
}

func fail(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

// file is what one path answers with.
type file struct {
	kind  string // Content-Type
	cache string // Cache-Control
	etag  string // "" for what is not stored
	text  []byte
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", f.cache)
	if f.etag != "" {
		h.Set("ETag", f.etag)
		if matches(r.Header.Values("If-None-Match"), f.etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(f.text)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(f.text) // a failed write is a client that left
	}
}

// matches compares as If-None-Match does (RFC 9110 section 13.1.2). Tags are weak:
// who compresses an answer changes its bytes, and not what they say.
func matches(asked []string, etag string) bool {
	for _, tag := range strings.Split(strings.Join(asked, ","), ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}
