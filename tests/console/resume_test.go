package console

import (
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/coder/websocket"

	"vdi-gateway/tests/browser"
)

// quickly is what a resumption may take when nothing is in its way.
const quickly = 2 * time.Second

// cutAndBack cuts the connection and returns how long the page was without it.
func cutAndBack(t *testing.T, b *browser.Browser, g *gateway) time.Duration {
	t.Helper()
	before := g.attachments()
	began := time.Now()
	g.cut()
	browser.Eventually(t, "the page is attached again", func() bool { return g.attachments() > before })
	reaches(t, b, "live")
	return time.Since(began)
}

func TestALostConnectionComesBack(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	for n := range 3 { // each time with a token of its own
		if took := cutAndBack(t, b, g); took > quickly {
			t.Errorf("loss %d: got the desktop back after %v, want %v", n+1, took, quickly)
		}
	}
	if got := b.Eval(t, "document.getElementById('frozen').childElementCount"); got != "0" {
		t.Error("the last picture is still there")
	}
	stroke(t, b, "k", "KeyK")
	browser.Eventually(t, "a key reaches the desktop", func() bool { s := g.heard(); return s.text() == "k" })
	if alike(picture(t, b), picture(t, b)) == 0 {
		t.Error("the desktop has no picture")
	}
}

// While the network is away the last picture stays, and the page says what it does.
func TestTheLastPictureStays(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	g.refuse("/console/resume", refusal{http.StatusServiceUnavailable, "OVERLOADED"})
	g.cut()
	browser.Eventually(t, "the page says so", func() bool { return textOf(t, b, "headline") == "Connection lost, reconnecting…" })
	same := b.Eval(t, `(() => {
		const c = document.querySelector('#frozen canvas'), x = Object.assign(document.createElement('canvas'), {width: c.width, height: c.height}).getContext('2d');
		x.drawImage(c, 0, 0);
		return c.checkVisibility() + ' ' + c.width + 'x' + c.height + ' ' + x.getImageData(120, 90, 1, 1).data;
	})()`)
	if want := "true 1024x640 251,248,241,255"; same != want { // paper of the window in it
		t.Errorf("the last picture: got %s, want %s", same, want)
	}
	if got := b.Eval(t, "document.querySelectorAll('#place canvas').length"); got != "0" {
		t.Errorf("got %s canvases of the connection that is gone", got)
	}
	g.refuse("/console/resume")
	reaches(t, b, "live")
}

// offline takes the network away from the page, or gives it back.
func offline(t *testing.T, b *browser.Browser, is bool) {
	t.Helper()
	browser.Call(t, b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: is, DownloadThroughput: -1, UploadThroughput: -1}},
	})
	browser.Call(t, b, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: is, DownloadThroughput: -1, UploadThroughput: -1})
}

func TestTheNetworkComesBack(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	offline(t, b, true)
	browser.Eventually(t, "it is lost", func() bool {
		g.cut() // again: it may have been back before it was offline
		return b.Eval(t, "document.body.dataset.kind") == "lost"
	})
	offline(t, b, false)
	reaches(t, b, "live")
}

// A connection whose other side is silent for ever looks alive to a browser. It has
// to prove that it lives when the network was away.
func TestASilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel() // it waits
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	before := g.attachments()
	g.silence()
	b.Eval(t, "dispatchEvent(new Event('online'))")
	browser.Eventually(t, "the page is attached again", func() bool { return g.attachments() > before })
	reaches(t, b, "live")
}

func TestALivingConnectionIsKept(t *testing.T) {
	t.Parallel() // it waits
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	before := g.attachments()
	b.Eval(t, "dispatchEvent(new Event('online'))")
	b.Eval(t, "new Promise(done => setTimeout(done, 6000))") // longer than it has for its proof
	if got := at(t, b); got != "live" || g.attachments() != before {
		t.Errorf("got %s and %d attachments, want the first one live", got, g.attachments())
	}
}

func TestASessionThatCannotBeResumed(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusConflict, http.StatusGone} {
		g, b := newGateway(t, sample(t)), browser.New(t)
		live(t, b, g)
		g.refuse("/console/resume", refusal{status, ""})
		g.cut()
		reaches(t, b, "ended")
		if got := textOf(t, b, "headline"); got != "The session is over" || textOf(t, b, "again") != "" {
			t.Errorf("%d: got %q with a button %q, want it to be over", status, got, textOf(t, b, "again"))
		}
	}
}

// TestEnds has what a closing WebSocket says, and what the page makes of it.
func TestEnds(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	for _, tt := range []struct {
		code     websocket.StatusCode
		reason   string
		headline string
		button   string
	}{
		{websocket.StatusNormalClosure, "vm_closed", "The desktop closed the connection", "Reconnect"},
		{websocket.StatusNormalClosure, "idle", "Disconnected, because nothing happened for a long time", "Reconnect"},
		{websocket.StatusNormalClosure, "max_time", "The time for this session is up", ""},
		{websocket.StatusInternalError, "admin", "Your administrator ended the session", ""},
		{websocket.StatusInternalError, "replaced", "The desktop was opened elsewhere", "Reconnect"},
		{websocket.StatusInternalError, "vm_unreachable", "The desktop does not answer", "Reconnect"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			live(t, b, g)
			before := g.attachments()
			g.end(tt.code, tt.reason)
			reaches(t, b, "ended")
			if got := textOf(t, b, "headline"); got != tt.headline {
				t.Errorf("got %q, want %q", got, tt.headline)
			}
			if got := textOf(t, b, "again"); got != tt.button {
				t.Errorf("got the button %q, want %q", got, tt.button)
			}
			if g.attachments() != before {
				t.Error("the page attached again by itself")
			}
			if got := b.Eval(t, "document.querySelectorAll('canvas').length"); got != "0" {
				t.Error("the last picture is left to who comes by")
			}
			if tt.button != "" {
				press(t, b, "again")
				reaches(t, b, "live")
			}
		})
	}
	t.Run("shutdown", func(t *testing.T) {
		live(t, b, g)
		before := g.attachments()
		g.end(websocket.StatusGoingAway, "shutdown")
		browser.Eventually(t, "it attaches again by itself", func() bool { return g.attachments() > before && at(t, b) == "live" })
	})
}
