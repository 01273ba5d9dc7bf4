package gateway

import (
	"errors"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// A grant that its node ends while another one takes it over has ended at both, whichever
// of them hears of the other first.
func TestWhatIsEndedWhileItIsTakenOver(t *testing.T) {
	for name, tt := range map[string]struct {
		expires time.Duration // of the grant, as the other node was told
		used    bool
		want    bool // it has ended there
	}{
		"on purpose":                {time.Minute, true, true},
		"on purpose, for ever":      {0, true, true},
		"its time was over":         {-time.Second, true, false},
		"its time was over, unused": {-time.Second, false, false}, // see Lose
	} {
		a, b := newRivalNode("10.9.0.1", "10.9.0.2"), newRivalNode("10.9.0.2", "10.9.0.1")
		gr := opened(a)
		told := a.courier.told[0]
		told.Expires = time.Time{}
		if tt.expires != 0 {
			told.Expires = time.Now().Add(tt.expires + recordMargin)
		}
		if err := b.Learn(told); err != nil {
			t.Fatal(err)
		}
		ch := b.carry(gr.id)
		if !tt.used {
			ch.finish(relay.Result{}, time.Now())
		}
		b.Unlearn(gr.id)
		if ended := b.reg.grants[gr.id] == nil; ended != tt.want {
			t.Errorf("%s: got ended %t, want %t", name, ended, tt.want)
		}
		if ch.unwanted() != (tt.want && tt.used) {
			t.Errorf("%s: got its session ended %t, want %t", name, ch.unwanted(), tt.want && tt.used)
		}
	}
}

func TestWhatWasEndedIsToldAgain(t *testing.T) {
	a := newRivalNode("10.9.0.1", "10.9.0.2")
	ended, living := opened(a), opened(a)
	a.endAll([]ConnectionID{ended.id}, "")
	if a.Revoked(living.id) {
		t.Error("the living one: got ended, want not")
	}
	if !a.Revoked(ended.id) || a.Revoked(ended.id) {
		t.Error("the ended one: want it told once")
	}
	a.endAll([]ConnectionID{living.id}, "")
	a.reg.overdue(time.Now().Add(2 * tombstoneTime))
	if a.Revoked(living.id) {
		t.Error("long ago: got told, want forgotten")
	}
}

// What another node takes over while it is still being told has not ended.
func TestAGrantThatIsTakenOverWhileItIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(a, b rivalNode, id ConnectionID) error
		forgotten bool
	}{
		"taken over": {func(a, b rivalNode, id ConnectionID) error {
			if err := b.Learn(a.courier.told[0]); err != nil {
				return err
			}
			b.carry(id)
			return a.Learn(b.courier.told[0])
		}, false},
		"ended": {func(a, _ rivalNode, id ConnectionID) error {
			a.endAll([]ConnectionID{id}, "")
			a.courier.forgotten = nil // before the others were told of it
			return nil
		}, true},
	} {
		a, b := newRivalNode("10.9.0.1", "10.9.0.2"), newRivalNode("10.9.0.2", "10.9.0.1")
		gr := opened(a)
		var failed error
		a.courier.during = func() { failed = tt.meanwhile(a, b, gr.id) }
		if err := errors.Join(a.share(t.Context(), gr.id), failed); err != nil {
			t.Fatal(err)
		}
		if got := len(a.courier.forgotten) > 0; got != tt.forgotten {
			t.Errorf("%s: got it said to have ended %t, want %t", name, got, tt.forgotten)
		}
	}
}
