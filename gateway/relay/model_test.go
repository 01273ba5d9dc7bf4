package relay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vdi-gateway/gateway/relay"
)

// The model knows an engine by Join, Kill, Stats and OnEnd only, so it holds
// for every engine: whatever is sent, half-closed, stalled, reset or killed in
// whatever order, bytes arrive in order and unchanged, none is invented, none is lost
// unless a leg was cut, and the pair ends once with the right reason.

// world is one pair under the model.
type world struct {
	client, vm *side
	pair       relay.Pair
	ended      chan relay.Result

	first  *side        // who half-closed first
	reason relay.Reason // the pair must have ended for; "" while it may live
	either bool         // it was cut twice: whichever is noticed first
	broken bool         // some bytes may be lost
	web    *web         // the client, when it speaks frames: then either end ends both
	lost   *side        // of whose bytes some may be, as the other side has ended
}

func newWorld(t *testing.T, e *relay.Engine, leg func(*net.TCPConn) net.Conn, framed bool) *world {
	ended := make(chan relay.Result, 8)
	tun := openOver(t, e, relay.Options{}, leg)
	go func() { // a second end would be found here
		for r := range tun.ended {
			ended <- r
		}
	}()
	w := &world{pair: tun.pair, ended: ended}
	var client far = tun.client
	if framed {
		w.web = newWeb(tun.client, 1)
		client = w.web
	}
	w.client = newSide("client", relay.ClientClosed, client)
	w.vm = newSide("vm", relay.VMClosed, tun.vm)
	t.Cleanup(func() { close(tun.ended) })
	return w
}

func (w *world) other(s *side) *side {
	if s == w.client {
		return w.vm
	}
	return w.client
}

// send: what a side sends arrives, whether or not that side reads itself, unless
// the other side stalls.
func (w *world) send(t *rapid.T, s *side, n int) {
	if s.finished || s.cut {
		return
	}
	other := w.other(s)
	s.send(n, !other.stalled)
	if other.stalled || w.broken {
		return
	}
	for end := time.Now().Add(patience); other.received() < s.sent; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("%s got %d of the %d bytes of %s", other.name, other.received(), s.sent, s.name)
		}
	}
}

// finish half-closes s and waits until the other side knows.
func (w *world) finish(t *rapid.T, s *side) {
	if s.finished || s.cut {
		return
	}
	s.finished = true
	other := w.other(s)
	other.resume()
	_ = s.conn.CloseWrite()
	wait(t, other.heard, "the end of "+s.name+"'s stream")
	if w.first == nil {
		w.first = s
	}
	if other.finished || other.cut || w.web != nil {
		w.reason = w.first.reason
	}
	if w.web != nil {
		s.resume()
		w.lost = other
	}
}

// reset cuts s. Only somebody who still reads from s, or writes to it, notices.
func (w *world) reset(t *rapid.T, s *side) {
	if s.cut {
		return
	}
	s.resume()
	w.other(s).resume()
	s.cut, w.broken = true, true
	resetBy(s.conn)
	w.either = w.other(s).cut
	if !s.finished {
		w.reason = s.reason
		wait(t, w.other(s).heard, "the end of "+s.name)
	}
}

func (w *world) kill(t *rapid.T) {
	w.client.resume()
	w.vm.resume()
	w.either = w.client.cut || w.vm.cut
	w.broken, w.reason = true, "killed"
	w.pair.Kill("killed")
	wait(t, w.client.heard, "the client's end")
	wait(t, w.vm.heard, "the VM's end")
}

func wait(t *rapid.T, what <-chan struct{}, name string) {
	select {
	case <-what:
	case <-time.After(patience):
		t.Fatalf("not within %s: %s", patience, name)
	}
}

// check compares what arrived with what was sent.
func (w *world) check(t *rapid.T) {
	var res relay.Result
	select {
	case res = <-w.ended:
	case <-time.After(patience):
		t.Fatalf("the pair did not end")
	}
	if res.Reason != w.reason && !w.either {
		t.Errorf("got reason %s, want %s", res.Reason, w.reason)
	}
	w.checkFarewell(t, res.Reason)
	w.checkWay(t, w.client, w.vm, res.Up)
	w.checkWay(t, w.vm, w.client, res.Down)
	if s := w.pair.Stats(); s.Up != res.Up || s.Down != res.Down {
		t.Errorf("got %+v after the end, want the figures of %+v", s, res)
	}
	w.pair.Kill("too late")
	select {
	case again := <-w.ended:
		t.Errorf("got a second end: %+v", again)
	default:
	}
}

// checkFarewell: a client with frames is told why. One that ended itself hears its own
// code, and one that was busy may have had no time to listen.
func (w *world) checkFarewell(t *rapid.T, why relay.Reason) {
	if w.web == nil || w.client.cut {
		return
	}
	wait(t, w.client.heard, "the client's end")
	code, reason := why.CloseCode()
	if w.client.finished {
		reason = ""
	}
	if w.web.code == 0 && (w.broken || w.client.finished) {
		return
	}
	if w.web.code != code || w.web.reason != reason {
		t.Errorf("the client was told %d %q, want %d %q", w.web.code, w.web.reason, code, reason)
	}
}

func (w *world) checkWay(t *rapid.T, from, to *side, counted int64) {
	to.mu.Lock()
	defer to.mu.Unlock()
	got := int64(to.got.Len())
	want := make([]byte, got)
	_, _ = rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%32s", from.name)))).Read(want)
	if !bytes.Equal(to.got.Bytes(), want) {
		t.Errorf("%s got other bytes than %s sent", to.name, from.name)
	}
	if got > counted || counted > from.sent {
		t.Errorf("%d bytes of %s counted, want at least the %d received and at most the %d sent", counted, from.name, got, from.sent)
	}
	if !w.broken && w.lost != from && got != from.sent {
		t.Errorf("got %d of %d bytes of %s, though nothing was cut", got, from.sent, from.name)
	}
}

// checkFigures: live figures only grow; but what was under way when the pair
// was cut, the last figures leave out.
func (w *world) checkFigures(t *rapid.T, before relay.Stats) relay.Stats {
	now := w.pair.Stats()
	if !w.broken && (now.Up < before.Up || now.Down < before.Down) {
		t.Errorf("figures went from %+v back to %+v", before, now)
	}
	if now.Up > w.client.sent || now.Down > w.vm.sent {
		t.Errorf("got %+v, more than the %d up and %d down that were sent", now, w.client.sent, w.vm.sent)
	}
	return now
}

func TestRandomLives(t *testing.T) {
	e := running(t)
	rapid.Check(t, func(rt *rapid.T) {
		leg := rapid.SampledFrom([]string{"plain", "copied", "framed"}).Draw(rt, "leg")
		legs := map[string]func(*net.TCPConn) net.Conn{"plain": plainLeg, "copied": anotherLeg, "framed": streamLeg}
		w := newWorld(t, e, legs[leg], leg == "framed")
		defer w.client.conn.Close()
		defer w.vm.conn.Close()
		var seen relay.Stats
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			if w.reason != "" {
				break
			}
			w.step(rt)
			seen = w.checkFigures(rt, seen)
		}
		w.client.resume()
		w.vm.resume()
		if w.reason == "" { // let it end in peace
			w.finish(rt, w.client)
		}
		if w.reason == "" {
			w.finish(rt, w.vm)
		}
		w.check(rt)
	})
}

func (w *world) step(t *rapid.T) {
	s := w.client
	if rapid.Bool().Draw(t, "by the VM") {
		s = w.vm
	}
	switch rapid.SampledFrom([]string{"send", "send", "send", "send", "send", "stall", "resume", "finish", "finish", "reset", "kill"}).Draw(t, "what") {
	case "send":
		w.send(t, s, rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 2_000_000)).Draw(t, "bytes"))
	case "stall":
		s.stall()
	case "resume":
		s.resume()
	case "finish":
		w.finish(t, s)
	case "reset":
		w.reset(t, s)
	case "kill":
		w.kill(t)
	}
}
