package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vdi-gateway/tests/browser"
)

// TestModules runs testdata/*.test.js, which test modules of the page one by one,
// where they run anyway: in a browser.
func TestModules(t *testing.T) {
	b := browser.New(t)
	mux := http.NewServeMux()
	mux.Handle("/console/", Handler())
	mux.Handle("/unit/", http.StripPrefix("/unit", http.FileServer(http.Dir("testdata"))))
	mux.HandleFunc("/unit", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><script type="module" src="/unit/run.js"></script>`))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	files, err := filepath.Glob("testdata/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %q, %v, want files with tests", files, err)
	}
	list := strings.ReplaceAll(strings.Join(files, ","), "testdata/", "")
	// run.js reads both from its own page.
	b.Do(t, chromedp.Navigate(s.URL+"/unit?files="+list+"&base="+base(t)))
	browser.Eventually(t, "the tests end", func() bool { return b.Eval(t, "'results' in window") == "true" || len(b.Complaints(s.URL)) > 0 })
	for _, c := range b.Complaints(s.URL) {
		t.Fatal(c)
	}
	var results []struct{ Name, Error string }
	if err := json.Unmarshal([]byte(b.Eval(t, "window.results")), &results); err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(r.Name, func(t *testing.T) {
			if r.Error != "" {
				t.Error(r.Error)
			}
		})
	}
}

// base is where the page's files are.
func base(t *testing.T) string {
	t.Helper()
	for path := range embedded() {
		if dir, is := strings.CutSuffix(path, "/main.js"); is {
			return dir
		}
	}
	t.Fatal("no main.js is served")
	return ""
}
