package console

import (
	"net/http"
	"slices"
	"testing"

	"vdi-gateway/tests/browser"
)

// TestLinksThatDoNotWork has what becomes of a link: words, and a button where that
// can help.
func TestLinksThatDoNotWork(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	for _, tt := range []struct {
		name     string
		token    string // "" for a fresh ticket
		refusal  refusal
		headline string
		button   bool
	}{
		{"unknown", "nobodyknowsit", refusal{}, "This link is not valid", false},
		{"expired", "", refusal{http.StatusGone, "GRANT_EXPIRED"}, "This link has expired", false},
		{"another desktop than allowed", "", refusal{http.StatusForbidden, "TARGET_DENIED"}, "This desktop may not be reached", false},
		{"too many attempts", "", refusal{http.StatusTooManyRequests, "RATE_LIMITED"}, "Too many attempts", true},
		{"draining", "", refusal{http.StatusServiceUnavailable, "DRAINING"}, "The gateway takes no new sessions at the moment", true},
		{"switched off", "", refusal{http.StatusLocked, "DISABLED"}, "The gateway is switched off", true},
		{"no desktop", "", refusal{http.StatusBadGateway, "VM_UNREACHABLE"}, "The desktop does not answer", true},
		{"broken", "", refusal{http.StatusInternalServerError, "INTERNAL"}, "Something went wrong at the gateway", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.token == "" {
				tt.token = g.ticket()
			}
			if tt.refusal.status != 0 {
				g.refuse("/console/session", tt.refusal, refusal{})
			}
			open(t, b, g.URL+"/console/?token="+tt.token)
			reaches(t, b, "ended")
			if got := textOf(t, b, "headline"); got != tt.headline {
				t.Errorf("got %q, want %q", got, tt.headline)
			}
			if got := textOf(t, b, "again") != ""; got != tt.button {
				t.Errorf("got a button: %t, want %t", got, tt.button)
			}
			if tt.button {
				press(t, b, "again") // the ticket is not spent, and nobody refuses any more
				reaches(t, b, "live")
			}
			g.refuse("/console/session")
		})
	}
}

func TestASpentLink(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	url := g.page()
	open(t, b, url)
	reaches(t, b, "live")
	open(t, b, "about:blank")
	open(t, b, url)
	reaches(t, b, "ended")
	if got, want := textOf(t, b, "told"), "This link has been used already"; len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := textOf(t, b, "again"); got != "" {
		t.Errorf("got the button %q, and nothing it could do", got)
	}
}

func TestNoLink(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	for _, query := range []string{"", "?token=", "?ticket=x", "?host=example.org"} {
		open(t, b, g.URL+"/console/"+query)
		reaches(t, b, "ended")
		if got := textOf(t, b, "headline"); got != "A link is needed" {
			t.Errorf("%q: got %q", query, got)
		}
	}
	if slices.Contains(g.paths(), "/console/session") {
		t.Error("the gateway was asked for a session without a ticket")
	}
}

// A WebSocket that is refused says nothing to a page. It asks the gateway, which
// does.
func TestTheDesktopCannotBeAttached(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	g.refuse("/v3/connect/", refusal{http.StatusBadGateway, "VM_UNREACHABLE"}, refusal{http.StatusBadGateway, "VM_UNREACHABLE"}, refusal{})
	open(t, b, g.page())
	browser.Eventually(t, "it says that it goes on trying", func() bool {
		return textOf(t, b, "more") == "The desktop does not answer yet. Trying again…" || at(t, b) == "live"
	})
	reaches(t, b, "live")

	g.refuse("/v3/connect/", refusal{http.StatusBadGateway, "VM_UNREACHABLE"})
	g.refuse("/console/resume", refusal{http.StatusForbidden, "FORBIDDEN"})
	open(t, b, g.page())
	reaches(t, b, "ended")
	if got := textOf(t, b, "headline"); got != "The desktop does not answer" {
		t.Errorf("got %q", got)
	}
}

// A page that cannot be loaded has not spent its ticket.
func TestTheLibraryDoesNotCome(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	g.lack("rfb.js")
	url := g.page()
	open(t, b, url)
	reaches(t, b, "ended")
	if got := textOf(t, b, "headline"); got != "The page could not be loaded completely" {
		t.Errorf("got %q", got)
	}
	g.lack("")
	open(t, b, "about:blank")
	open(t, b, url)
	reaches(t, b, "live")
}

func TestLanguages(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	for _, tt := range []struct{ accepts, asks, headline, title string }{
		{"en-US", "", "A link is needed", "Remote desktop"},
		{"ru-RU,en", "", "Нужна ссылка", "Удалённый рабочий стол"},
		{"de-DE,fr", "", "A link is needed", "Remote desktop"},
		{"ru-RU", "?lang=en", "A link is needed", "Remote desktop"},
		{"en-US", "?lang=ru", "Нужна ссылка", "Удалённый рабочий стол"},
	} {
		speak(t, b, tt.accepts)
		open(t, b, g.URL+"/console/"+tt.asks)
		reaches(t, b, "ended")
		if got := textOf(t, b, "headline"); got != tt.headline {
			t.Errorf("%s %s: got %q, want %q", tt.accepts, tt.asks, got, tt.headline)
		}
		if got := b.Eval(t, "document.title"); got != tt.title {
			t.Errorf("%s %s: title %q, want %q", tt.accepts, tt.asks, got, tt.title)
		}
		if got := b.Eval(t, "location.search"); got != tt.asks {
			t.Errorf("%s %s: the address has %q", tt.accepts, tt.asks, got)
		}
	}
}
