package browser

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// traffic is what the page sent and got, while it is recorded.
type traffic struct {
	on     bool
	frames bytes.Buffer        // of WebSockets, both ways
	heads  bytes.Buffer        // all headers
	ids    []network.RequestID // of answers that were not read yet
	answer bytes.Buffer        // bodies; of who calls Traffic
}

// Record begins to keep what the page sends and gets, for Traffic.
func (b *Browser) Record() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.traffic.on = true
}

// record keeps an event of the network. The caller holds mu.
func (b *Browser) record(event any) {
	if !b.traffic.on {
		return
	}
	switch e := event.(type) {
	case *network.EventWebSocketFrameReceived:
		b.traffic.frames.Write(e.Response.PayloadData)
	case *network.EventWebSocketFrameSent:
		b.traffic.frames.Write(e.Response.PayloadData)
	case *network.EventLoadingFinished:
		b.traffic.ids = append(b.traffic.ids, e.RequestID)
	case *network.EventRequestWillBeSent, *network.EventRequestWillBeSentExtraInfo, *network.EventResponseReceived,
		*network.EventResponseReceivedExtraInfo, *network.EventWebSocketWillSendHandshakeRequest,
		*network.EventWebSocketHandshakeResponseReceived:
		text, _ := json.Marshal(e) // of what came as JSON
		b.traffic.heads.Write(text)
	}
}

// Traffic is all that the page sent and got since Record: headers, bodies of answers and
// frames of WebSockets.
func (b *Browser) Traffic(t testing.TB) []byte {
	t.Helper()
	b.mu.Lock()
	ids := b.traffic.ids
	b.traffic.ids = nil
	b.mu.Unlock()
	for _, id := range ids {
		// That of a page that was left is not kept.
		body, err := chromedp.Call(b.ctx, network.GetResponseBody, network.GetResponseBodyParams{RequestID: id})
		if err != nil {
			continue
		}
		b.traffic.answer.Write(body.Body)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Join([][]byte{b.traffic.frames.Bytes(), b.traffic.heads.Bytes(), b.traffic.answer.Bytes()}, nil)
}
