package statistics

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestTheLivePage(t *testing.T) {
	b := newBrowser(t)
	for scheme, ground := range map[string]string{"light": "rgb(244, 246, 249)", "dark": "rgb(16, 21, 28)"} {
		t.Run(scheme, func(t *testing.T) {
			s, src := newServer(t, three())
			lived(s, src)
			base := serve(t, s, "127.0.0.1:0")
			b.open(t, base, scheme)
			if got := b.eval(t, "getComputedStyle(document.body).backgroundColor"); got != ground {
				t.Errorf("background: got %s, want %s", got, ground)
			}
			b.shows(t, "sessions", "1 234")
			eventually(t, "the charts are drawn", func() bool {
				return b.eval(t, "document.querySelectorAll('svg .a path, svg .b path').length") == "8"
			})
			src.change(func(s *Snapshot) {
				s.Sessions, s.Nodes[2].Alive, s.Nodes[2].Ready = 4321, true, true
			})
			s.Refused("VALIDATION")
			b.shows(t, "sessions", "4 321")
			b.shows(t, "refused", "1")
			if got := b.eval(t, "document.querySelectorAll('#nodes article.no-answer').length"); got != "0" {
				t.Errorf("got %s nodes without answer, want 0", got)
			}
			b.shot(t, scheme)
			for _, c := range b.complaints(base) {
				t.Error(c)
			}
			b.do(t, chromedp.Navigate("about:blank")) // or it would go on asking
			b.forget()
		})
	}
}

func TestThePageFitsAPhone(t *testing.T) {
	b := newBrowser(t)
	s, src := newServer(t, three())
	lived(s, src)
	base := serve(t, s, "127.0.0.1:0")
	b.do(t, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	b.open(t, base, "dark")
	b.shows(t, "sessions", "1 234")
	if got := b.eval(t, "document.documentElement.scrollWidth"); got != "360" {
		t.Errorf("the page is %s wide, want 360: it scrolls sideways", got)
	}
	b.shot(t, "phone")
}

// A page that is open stays so while its node restarts, and goes on with the new
// process.
func TestThePageOutlivesItsNode(t *testing.T) {
	b := newBrowser(t)
	first, src := newServer(t, three())
	lived(first, src)
	base, stop := serveUntil(t, first, "127.0.0.1:0")
	b.open(t, base, "light")
	b.shows(t, "sessions", "1 234")
	stop()
	eventually(t, "the page says that nobody answers", func() bool {
		return strings.HasPrefix(b.eval(t, "document.getElementById('fresh').textContent"), "no answer since ")
	})
	after := three()
	after.Sessions = 3
	second, _ := newServer(t, after)
	serve(t, second, strings.TrimPrefix(base, "http://"))
	b.shows(t, "sessions", "3")
	drawn, err := strconv.Atoi(b.eval(t, "document.querySelector('#chart-sessions .a path:not(.area)').getAttribute('d').split(/[ML]/).length"))
	if err != nil || drawn > 300 {
		t.Errorf("got %d points in the chart (%v), want those of the new process alone", drawn, err)
	}
	if got := b.eval(t, "document.body.className"); got != "" {
		t.Errorf("got class %q: the page still says that nobody answers", got)
	}
}

func serve(t *testing.T, s *Server, addr string) (base string) {
	t.Helper()
	base, _ = serveUntil(t, s, addr)
	return base
}

func serveUntil(t *testing.T, s *Server, addr string) (base string, stop func()) {
	t.Helper()
	if err := s.Apply(Config{Listen: []netip.AddrPort{netip.MustParseAddrPort(addr)}}); err != nil {
		t.Fatal(err)
	}
	base = "http://" + s.Addrs()[0].String()
	return base, run(t, s)
}

// shows waits until the element for name has the text want.
func (b *browser) shows(t *testing.T, name, want string) {
	t.Helper()
	eventually(t, name+" is "+want, func() bool {
		got := b.eval(t, "document.querySelector('[data-is="+name+"]').textContent")
		return strings.ReplaceAll(got, "\u202f", " ") == want
	})
}

// forget drops what was noted so far.
func (b *browser) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors, b.requests = nil, nil
}
