package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A key is not sent in the clear to a node that speaks TLS.
func TestASchemeNobodySaidIsAskedWithoutAKey(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a node without TLS": {func(http.ResponseWriter, *http.Request) {}, "http"},
		"a node with TLS": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+r.Host+r.RequestURI, http.StatusTemporaryRedirect)
		}, "https"},
		"something else": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "ftp://"+r.Host, http.StatusTemporaryRedirect)
		}, "http"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if len(r.Header["Authorization"])+len(r.Header["X-Api-Key"]) > 0 {
					t.Error("a key was sent")
				}
				tc.answer(w, r)
			}))
			defer server.Close()
			flag := serverFlag{Server: strings.TrimPrefix(server.URL, "http://"), APIKey: "key"}
			c, err := flag.connect(t.Context())
			if err != nil || c.base != tc.want+"://"+flag.Server {
				t.Errorf("got %+v, %v: want %s", c, err, tc.want)
			}
		})
	}
}
