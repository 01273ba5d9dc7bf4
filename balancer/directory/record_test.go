package directory

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecordsBeyondTheLimitsAreDropped(t *testing.T) {
	d := New(Deps{})
	for _, r := range []Record{
		{Key: "k"},
		{Kind: "k"},
		{Kind: strings.Repeat("k", MaxKind+1), Key: "k"},
		{Kind: "k", Key: strings.Repeat("k", MaxKey+1)},
		{Kind: "k", Key: "k", Value: make([]byte, MaxValue+1)},
	} {
		d.Put(r)
		if _, there := d.Get(r.Kind, r.Key); there {
			t.Errorf("%.40v is stored", r)
		}
		if err := d.Share(context.Background(), r); err == nil {
			t.Errorf("%.40v is shared", r)
		}
	}
	if got := d.Stats().Dropped; got != 5 {
		t.Errorf("got %d dropped, want 5", got)
	}
}

// TestAlone uses a directory that has neither peers nor Run.
func TestAlone(t *testing.T) {
	d := New(Deps{})
	if err := d.Share(context.Background(), grant("one")); err != nil {
		t.Fatal(err)
	}
	r, ok := d.Get("grant", "g")
	if !ok || string(r.Value) != "one" {
		t.Fatalf("got %v, want what was shared", r)
	}
	r.Value[0] = 'x'
	for r := range d.All("grant") {
		if string(r.Value) != "one" {
			t.Errorf("got %s, want a copy that nobody changes", r.Value)
		}
		d.Delete("grant", r.Key)
	}
	if got := slices.Collect(d.All("grant")); len(got) != 0 {
		t.Errorf("got %v, want nothing", got)
	}
}

func TestWhoIsToldOfWhat(t *testing.T) {
	var told []string
	listening := func(i int) Deps {
		return Deps{Changed: func(r Record, gone bool) {
			if i == 1 {
				told = append(told, fmt.Sprintf("%s%s %v %s", r.Key, r.Value, gone, r.Node))
			}
		}}
	}
	inFleet(t, listening, func(t *testing.T, nodes []*node) {
		nodes[1].Put(Record{Kind: "a", Key: "own", Expires: time.Now().Add(time.Second)})
		nodes[0].Put(Record{Kind: "a", Key: "x", Value: []byte("1")})
		time.Sleep(time.Second)
		nodes[0].Put(Record{Kind: "a", Key: "x", Value: []byte("2")})
		time.Sleep(time.Second)
		nodes[2].Delete("a", "x")
		nodes[2].Put(Record{Kind: "a", Key: "y", Expires: time.Now().Add(time.Second)})
		time.Sleep(10 * time.Second)
	})
	want := []string{"x1 false 10.0.0.1", "x2 false 10.0.0.1", "x2 true 10.0.0.3", "y false 10.0.0.3", "y true 10.0.0.3"}
	if !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
}

// TestClockAhead has a node whose clock is wrong: the others do not take what it
// writes, say so, and take it once the time has come.
func TestClockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, 1)
		defer f.end()
		wrong, right := f.start(0, 2*time.Minute, Deps{}), f.start(1, 0, Deps{})
		time.Sleep(2 * time.Second)
		wrong.Put(grant("early"))
		time.Sleep(5 * time.Second)
		if value(right) != "" || right.Stats().Ahead == 0 || wrong.Stats().TooNew == 0 {
			t.Errorf("got %q, %+v and %+v, want it refused and counted", value(right), right.Stats(), wrong.Stats())
		}
		time.Sleep(2 * time.Minute)
		if got := value(right); got != "early" {
			t.Errorf("got %q when its time has come, want early", got)
		}
	})
}

func TestTheHigherAddressWinsATie(t *testing.T) {
	f := newFleet(t, 2, 1)
	low := &entry{stamp: 1, from: &origin{originID: originID{f.peers[0], 9}}}
	high := &entry{stamp: 1, from: &origin{originID: originID{f.peers[1], 1}}}
	if !high.beats(low) || low.beats(high) || low.beats(low) {
		t.Error("the nodes would not agree")
	}
}

func TestOnePeerAtATimeRelaysMuch(t *testing.T) {
	var b bulk
	now := time.Unix(1000, 0)
	for i, step := range []struct {
		peer           uint64
		complete, want bool
		after          time.Duration
	}{
		{1, false, true, 0},
		{2, false, false, 0},
		{2, true, true, 0}, // a single message
		{2, false, false, bulkTime / 2},
		{1, false, true, 0},
		{2, false, true, bulkTime}, // the first one has stopped
		{1, true, true, 0},
		{1, false, false, 0},
		{2, true, true, 0},
		{1, false, true, 0},
	} {
		now = now.Add(step.after)
		if got := b.admit(step.peer, step.complete, now); got != step.want {
			t.Errorf("step %d: got %v, want %v", i, got, step.want)
		}
	}
}

// TestFreshNodeLearnsMuch has two nodes tell a third one 110000 records, half of
// them written by a life of a node that is over.
func TestFreshNodeLearnsMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, 1)
		defer f.end()
		f.start(0, 0, Deps{})
		f.start(1, 0, Deps{})
		before := heap()
		for n := range 110000 {
			f.node(n % 2).Put(sample(n))
		}
		time.Sleep(5 * time.Second)
		t.Logf("%d bytes of memory for a record", (heap()-before)/220000)
		f.crash(0)
		f.start(0, 0, Deps{})
		time.Sleep(5 * time.Second)
		f.mu.Lock()
		f.delay = 10 * time.Millisecond // so that both are at it at the same time
		f.mu.Unlock()
		start := time.Now()
		third := f.start(2, 0, Deps{})
		for third.Stats().Records["sticky"]+third.Stats().Records["grant"] < 110000 {
			if time.Since(start) > 2*time.Second {
				t.Fatalf("got %v after 2 s, want 110000", third.Stats().Records)
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("all are there after %v", time.Since(start))
		time.Sleep(2 * time.Second)
		if got := third.Stats().Stale; got > 55000 {
			t.Errorf("got %d records twice, want few", got)
		}
	})
}

func sample(n int) Record {
	if n%11 == 0 {
		return Record{Kind: "grant", Key: fmt.Sprintf("%036d", n), Value: make([]byte, 300), Expires: time.Now().Add(time.Hour)}
	}
	return Record{Kind: "sticky", Key: fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), Value: []byte("10.0.0.1"), Expires: time.Now().Add(time.Hour)}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
