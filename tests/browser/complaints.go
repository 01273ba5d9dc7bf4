package browser

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// note keeps what the page does that somebody may object to.
func (b *Browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.record(event)
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventWebSocketCreated:
		b.requests = append(b.requests, e.URL)
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.errors = append(b.errors, fmt.Sprintf("console.%s: %s", e.Type, said(e.Args)))
	case *log.EventEntryAdded:
		b.errors = append(b.errors, e.Entry.Text+" "+e.Entry.URL)
	case *page.EventJavascriptDialogOpening:
		go b.agree()
	}
}

// agree answers a dialog. It is not waited for: when the page has gone
// meanwhile, there is nothing to answer.
func (b *Browser) agree() {
	_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
}

func said(args []*runtime.RemoteObject) string {
	var words []string
	for _, a := range args {
		words = append(words, strings.Trim(string(a.Value), `"`)+a.Description)
	}
	return strings.Join(words, " ")
}

// Complaints are errors of the page, whatever it said on its console, and
// requests to elsewhere than base, an origin such as http://127.0.0.1:8000.
func (b *Browser) Complaints(base string) []string {
	found := b.Errors()
	for _, r := range b.Requests() {
		if !inside(r, base) {
			found = append(found, "a request to "+r)
		}
	}
	return found
}

// inside tells whether a request stays at an origin, or needs none.
func inside(request, base string) bool {
	u, err := url.Parse(request)
	if err != nil {
		return false
	}
	sockets := "ws" + strings.TrimPrefix(base, "http")
	return u.Scheme == "data" || u.Scheme == "blob" || strings.HasPrefix(request, base+"/") || strings.HasPrefix(request, sockets+"/")
}

// Errors are errors of the page and whatever it said on its console.
func (b *Browser) Errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.errors)
}

// Requests are the URLs that were asked for, WebSockets included.
func (b *Browser) Requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

// Forget drops what was noted so far.
func (b *Browser) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors, b.requests = nil, nil
}
