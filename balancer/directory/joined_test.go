package directory

import (
	"testing"
	"testing/synctest"
	"time"
)

// A node that comes back knows when it has heard everything, and says so only
// then.
func TestJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, 1)
		defer f.end()
		for i := range 2 {
			f.start(i, 0, Deps{})
		}
		time.Sleep(3 * time.Second)
		for i := range 2 {
			if n := f.node(i); !n.Joined() {
				t.Errorf("node %d of two that know nothing has not joined", i)
			}
		}
		keys := f.fill(0, 5000)
		n := f.start(2, 0, Deps{})
		if n.Joined() {
			t.Error("a node has joined before it heard anybody")
		}
		for began := time.Now(); !n.Joined(); time.Sleep(time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatal("the node never joined")
			}
		}
		if got := n.Stats().Records["grant"]; got != keys {
			t.Errorf("joined with %d of %d records", got, keys)
		}
	})
}

func TestJoinedAlone(t *testing.T) {
	if d := New(Deps{}); !d.Joined() {
		t.Error("a node alone waits for somebody")
	}
}

// fill has node i write n records and returns n.
func (f *fleet) fill(i, n int) int {
	for k := range n {
		f.node(i).Put(Record{Kind: "grant", Key: string(rune('a'+k%26)) + time.Duration(k).String(), Expires: time.Now().Add(time.Hour)})
	}
	return n
}
