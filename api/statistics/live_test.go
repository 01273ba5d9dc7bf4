package statistics

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vdi-gateway/tests/browser"
)

func TestTheLivePage(t *testing.T) {
	b := browser.New(t)
	for scheme, ground := range map[string]string{"light": "rgb(244, 246, 249)", "dark": "rgb(16, 21, 28)"} {
		t.Run(scheme, func(t *testing.T) {
			s, src := newServer(t, three())
			lived(s, src)
			base := serve(t, s, "127.0.0.1:0")
			open(t, b, base, scheme)
			if got := b.Eval(t, "getComputedStyle(document.body).backgroundColor"); got != ground {
				t.Errorf("background: got %s, want %s", got, ground)
			}
			shows(t, b, "sessions", "1 234")
			browser.Eventually(t, "the charts are drawn", func() bool {
				return b.Eval(t, "document.querySelectorAll('svg .a path, svg .b path').length") == "8"
			})
			src.change(func(s *Snapshot) {
				s.Sessions, s.Nodes[2].Alive, s.Nodes[2].Ready = 4321, true, true
			})
			s.Refused("VALIDATION")
			shows(t, b, "sessions", "4 321")
			shows(t, b, "refused", "1")
			if got := b.Eval(t, "document.querySelectorAll('#nodes article.no-answer').length"); got != "0" {
				t.Errorf("got %s nodes without answer, want 0", got)
			}
			b.Shot(t, scheme)
			for _, c := range b.Complaints(base) {
				t.Error(c)
			}
			b.Do(t, chromedp.Navigate("about:blank")) // or it would go on asking
			b.Forget()
		})
	}
}

func TestThePageFitsAPhone(t *testing.T) {
	b := browser.New(t)
	s, src := newServer(t, three())
	lived(s, src)
	base := serve(t, s, "127.0.0.1:0")
	b.Do(t, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	open(t, b, base, "dark")
	shows(t, b, "sessions", "1 234")
	if got := b.Eval(t, "document.documentElement.scrollWidth"); got != "360" {
		t.Errorf("the page is %s wide, want 360: it scrolls sideways", got)
	}
	b.Shot(t, "phone")
}

// A page that is open stays so while its node restarts, and goes on with the new
// process.
func TestThePageOutlivesItsNode(t *testing.T) {
	b := browser.New(t)
	first, src := newServer(t, three())
	lived(first, src)
	base, stop := serveUntil(t, first, "127.0.0.1:0")
	open(t, b, base, "light")
	shows(t, b, "sessions", "1 234")
	stop()
	browser.Eventually(t, "the page says that nobody answers", func() bool {
		return strings.HasPrefix(b.Eval(t, "document.getElementById('fresh').textContent"), "no answer since ")
	})
	after := three()
	after.Sessions = 3
	second, _ := newServer(t, after)
	serve(t, second, strings.TrimPrefix(base, "http://"))
	shows(t, b, "sessions", "3")
	drawn, err := strconv.Atoi(b.Eval(t, "document.querySelector('#chart-sessions .a path:not(.area)').getAttribute('d').split(/[ML]/).length"))
	if err != nil || drawn > 300 {
		t.Errorf("got %d points in the chart (%v), want those of the new process alone", drawn, err)
	}
	if got := b.Eval(t, "document.body.className"); got != "" {
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
func shows(t *testing.T, b *browser.Browser, name, want string) {
	t.Helper()
	browser.Eventually(t, name+" is "+want, func() bool {
		got := b.Eval(t, "document.querySelector('[data-is="+name+"]').textContent")
		return strings.ReplaceAll(got, "\u202f", " ") == want
	})
}

func open(t *testing.T, b *browser.Browser, url, scheme string) {
	t.Helper()
	b.Scheme(t, scheme)
	b.Do(t, chromedp.Navigate(url+"/"))
}

// lived fills the history of s with nine minutes of a working day, up to now.
func lived(s *Server, src *source) {
	now, snap := time.Now(), three()
	for n := range 540 {
		x := float64(n)
		snap.Sessions = 1180 + n/10 + int(30*math.Sin(x/37)+9*math.Sin(x/5))
		snap.Channels = 2*snap.Sessions - int(40*math.Cos(x/50))
		snap.BytesDown += uint64(7e7 + 3e7*math.Sin(x/29) + 9e6*math.Sin(x*1.7))
		snap.BytesUp += uint64(1.2e7 + 4e6*math.Sin(x/23) + 2e6*math.Sin(x*2.3))
		s.history.add(now.Add(time.Duration(n-540)*time.Second), snap)
	}
	src.change(func(s *Snapshot) { s.BytesUp, s.BytesDown = snap.BytesUp, snap.BytesDown })
}
