package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"vdi-gateway/tests/node"
)

// post asks an address as a page of an origin does.
func (r *rig) post(t *testing.T, api netip.AddrPort, path, origin string, body map[string]string) (*http.Response, []byte) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(soon(t), http.MethodPost, "http://"+api.String()+path, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: r.there.DialContext, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, answer
}

// attach opens a WebSocket with a token, and tells the status of the answer.
func (r *rig) attach(ctx context.Context, api netip.AddrPort, token string) (*websocket.Conn, int) {
	client := &http.Client{Transport: &http.Transport{DialContext: r.there.DialContext, DisableKeepAlives: true}}
	ws, resp, err := websocket.Dial(ctx, "ws://"+api.String()+"/v3/connect/?token="+token, &websocket.DialOptions{HTTPClient: client})
	switch {
	case err == nil:
		return ws, resp.StatusCode
	case resp != nil:
		return nil, resp.StatusCode
	}
	return nil, 0
}

func (r *rig) api(i int) netip.AddrPort { return netip.AddrPortFrom(r.gates[i].Addr(), node.APIPort) }

// TestALinkIsSpentOnAllNodes: the page of one node, the same link at another.
func TestALinkIsSpentOnAllNodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, nil)
	l, b := r.link(t, r.sample(t, vmPort), nil), r.browse(t)
	opens(t, b, fmt.Sprintf("http://%s/console/?token=%s", r.api(0), l.Ticket))
	second := b.Tab(t)
	second.Do(t, chromedp.Navigate(fmt.Sprintf("http://%s/console/?token=%s", r.api(1), l.Ticket)))
	endsWith(t, second, "This link has been used already", "")
}

// TestOneOfTwoAttachesWins: a token at two nodes at once, and a ticket.
func TestOneOfTwoAttachesWins(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, node.Settings{"limits": map[string]any{"max_connections": 0, "open_per_client_per_s": 0}})
	vm := r.sample(t, vmPort)
	c := r.nodes[0].Client(r.there)
	t.Cleanup(c.Close)
	all := map[string]any{"all": true}
	for round := range 10 {
		tunnel, err := c.Open(soon(t), node.OpenRequest{VMAddress: vm.Addr().String(), VMPort: int(vm.Port()), Protocol: "vnc", Mode: "websocket"})
		if err != nil {
			t.Fatal(err)
		}
		r.race(t, round, 409, func(i int) int {
			ws, status := r.attach(soon(t), r.api(i), tunnel.Token)
			if ws != nil {
				t.Cleanup(func() { _ = ws.CloseNow() })
			}
			return status
		}, 101)
		try(t, r.dispatcher(t, 0).Call(soon(t), http.MethodPost, "/v3/disconnect/", all, nil))
		l := r.link(t, vm, map[string]any{"vm_id": fmt.Sprintf("desktop %d", round)})
		r.race(t, round, 409, func(i int) int {
			resp, _ := r.post(t, r.api(i), "/console/session", "http://"+r.api(i).String(), map[string]string{"ticket": l.Ticket})
			return resp.StatusCode
		}, 200)
		try(t, r.dispatcher(t, 0).Call(soon(t), http.MethodPost, "/v3/disconnect/", all, nil))
	}
}

// race does the same at two nodes at once, of which one has to win.
func (r *rig) race(t *testing.T, round, loser int, do func(i int) int, winner int) {
	t.Helper()
	var got [2]int
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i] = do(i) })
	}
	all.Wait()
	if got != [2]int{winner, loser} && got != [2]int{loser, winner} {
		t.Errorf("round %d: got %v, want one %d and one %d", round, got, winner, loser)
	}
}
