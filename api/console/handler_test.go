package console

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// ask asks for a path as it is written.
func ask(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestThePage(t *testing.T) {
	w := ask("GET", "/console/?token=x&host=y")
	if w.Code != 200 || !strings.HasPrefix(w.Body.String(), "<!doctype html>") {
		t.Fatalf("got %d %.40q, want the page", w.Code, w.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "ETag": "", "Set-Cookie": "",
		"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Content-Length": strconv.Itoa(w.Body.Len()),
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestTheContentPolicy(t *testing.T) {
	policy := map[string]string{}
	for _, directive := range strings.Split(ask("GET", "/console/").Header().Get("Content-Security-Policy"), "; ") {
		name, value, _ := strings.Cut(directive, " ")
		policy[name] = value
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data: blob:", "connect-src": "'self'",
		"frame-ancestors": "'none'", "base-uri": "'none'", "form-action": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'",
	} {
		if policy[name] != want {
			t.Errorf("%s: got %q, want %q", name, policy[name], want)
		}
	}
	if len(policy) != 10 {
		t.Errorf("got %d directives, want those of the table: %v", len(policy), policy)
	}
}

func TestWhatIsNotServed(t *testing.T) {
	b := base(t)
	for _, path := range []string{
		"/", "/console", "/console/index.html", "/console/main.js", "/console/page/index.html", "/console/novnc/", "/console/session",
		b, b + "/", b + "/index.html", b + "/novnc", b + "/novnc/core/", b + "/novnc/package.json", b + "/novnc/package-lock.json",
		"//console/", "/console//", "/console/./", b + "//main.js", b + "/../main.js", b + "/novnc/../main.js", "/console/..%2f", "/console/%2e%2e/",
		strings.Replace(b+"/main.js", "/main", "%2Fmain", 1), b + "/main%2ejs", b + "/MAIN.JS", b + "/main.js/", b + "/main.js%00",
		"/console/0000000000000000/main.js", "/console/https://example.org/",
	} {
		w := ask("GET", path)
		if w.Code != 404 || w.Header().Get("Location") != "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d, want 404", path, w.Code)
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: got no policy", path)
		}
	}
}

func TestMethods(t *testing.T) {
	for _, path := range []string{"/console/", base(t) + "/main.js"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND"} {
			if w := ask(method, path); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: got %d, Allow %q, want 405", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
		get, head := ask("GET", path), ask("HEAD", path)
		if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != strconv.Itoa(get.Body.Len()) {
			t.Errorf("HEAD %s: got %d with %d bytes, length %s, want what GET has but for the body", path, head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
		}
	}
	if w := ask("POST", "/console/session"); w.Code != 404 {
		t.Errorf("what the API serves: got %d, want 404 here", w.Code)
	}
}

func TestFilesAreStoredAndAskedForOnce(t *testing.T) {
	path := base(t) + "/main.js"
	w := ask("GET", path)
	etag := w.Header().Get("ETag")
	if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("got Cache-Control %q", got)
	}
	for _, tt := range []struct {
		asked []string
		want  int
	}{
		{nil, 200},
		{[]string{etag}, 304},
		{[]string{strings.TrimPrefix(etag, "W/")}, 304},
		{[]string{`"x", ` + etag}, 304},
		{[]string{`"x"`, etag}, 304},
		{[]string{"*"}, 304},
		{[]string{`"x"`}, 200},
		{[]string{""}, 200},
		{[]string{ask("GET", base(t)+"/state.js").Header().Get("ETag")}, 200},
	} {
		var header []string
		for _, a := range tt.asked {
			header = append(header, "If-None-Match", a)
		}
		w := ask("GET", path, header...)
		if w.Code != tt.want || (w.Code == 304) != (w.Body.Len() == 0) || w.Header().Get("ETag") != etag {
			t.Errorf("If-None-Match %q: got %d with %d bytes, want %d", tt.asked, w.Code, w.Body.Len(), tt.want)
		}
	}
}

func TestAnotherVersionHasAnotherPath(t *testing.T) {
	texts := assets()
	before := digest(texts)
	texts["main.js"] = append([]byte{}, texts["main.js"]...)
	texts["main.js"][0]++
	if digest(texts) == before {
		t.Error("a changed file: got the same digest")
	}
	texts = assets()
	texts["main2.js"] = texts["main.js"]
	delete(texts, "main.js")
	if digest(texts) == before {
		t.Error("a renamed file: got the same digest")
	}
	if digest(assets()) != before {
		t.Error("the same files: got another digest")
	}
}

func TestManyAtOnce(t *testing.T) {
	s := httptest.NewServer(Handler())
	t.Cleanup(s.Close)
	done := make(chan error)
	for range 8 {
		go func() {
			resp, err := http.Get(s.URL + "/console/")
			if err == nil {
				err = resp.Body.Close()
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
