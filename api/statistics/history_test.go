package statistics

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var epoch = time.Unix(1_700_000_000, 0)

func TestHistoryKeepsTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(epoch)
		added := rapid.IntRange(0, 3*kept).Draw(t, "added")
		for n := range added {
			h.add(epoch.Add(time.Duration(n)*time.Second), Snapshot{Sessions: n})
		}
		first := rapid.IntRange(-kept, 4*kept).Draw(t, "first")
		v := h.since(first)
		from := max(first, added-kept, 0)
		if want := max(added-from, 0); len(v.Points) != want || v.Next != added {
			t.Fatalf("got %d points and next %d, want %d and %d", len(v.Points), v.Next, want, added)
		}
		for i, p := range v.Points {
			if p.Sessions != from+i {
				t.Fatalf("point %d: got number %d, want %d", i, p.Sessions, from+i)
			}
		}
	})
}

func TestRatesOfCounters(t *testing.T) {
	h := newHistory(epoch)
	at := epoch
	for _, s := range []struct {
		after time.Duration
		up    uint64
		want  int64
	}{
		{time.Second, 5000, 0}, // nothing is known of the time before
		{time.Second, 6000, 1000},
		{2 * time.Second, 9000, 1500},
		{500 * time.Millisecond, 9000, 0},
		{500 * time.Millisecond, 9250, 500},
		{time.Second, 10, 0}, // set back
		{time.Second, 30, 20},
		{0, 4000, 0}, // the clock stood still
		{-time.Second, 5000, 0},
	} {
		at = at.Add(s.after)
		h.add(at, Snapshot{BytesUp: s.up, BytesDown: 2 * s.up})
		v := h.since(h.next - 1)
		if got := v.Points[0]; got.Up != s.want || got.Down != 2*s.want {
			t.Errorf("%d bytes %v later: got %d up, %d down, want %d, %d", s.up, s.after, got.Up, got.Down, s.want, 2*s.want)
		}
	}
}

func TestPointsOfAnotherLifeAreSentAnew(t *testing.T) {
	s, _, url := started(t, three())
	points := func(query string) int {
		var st struct{ Points [][5]int64 }
		_, _, body := call(t, "GET", url+"/data.json"+query)
		if err := json.Unmarshal([]byte(body), &st); err != nil {
			t.Fatal(err)
		}
		return len(st.Points)
	}
	for range 5 {
		s.history.add(time.Now(), three())
	}
	boot, err := json.Marshal(s.history.started.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	for query, most := range map[string]int{"": 600, "?since=1000&boot=1": 600, "?since=1000&boot=" + string(boot): 0} {
		if got := points(query); got > most || most > 0 && got < 5 {
			t.Errorf("%q: got %d points, want %d at most, all if any", query, got, most)
		}
	}
}

func TestStateOfNodes(t *testing.T) {
	s, _ := newServer(t, three())
	s.history.add(epoch, three())
	got := s.state(0)
	want := []nodeState{
		{Addr: "10.0.0.1", Self: true, Status: "ready", Role: "active", Connections: 1241, Revision: 17, Version: version},
		{Addr: "10.0.0.2", Status: "draining", Role: "backup", Connections: 6, Revision: 16, Behind: true, Version: version},
		{Addr: "10.0.0.3", Status: "no answer", Role: "backup", Revision: 17, Version: version},
	}
	if diff := cmp.Diff(want, got.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

func TestANodeAloneShowsItself(t *testing.T) {
	alone := three()
	alone.Nodes, alone.Directory, alone.Backends = nil, nil, nil
	s, _ := newServer(t, alone)
	s.history.add(epoch, alone)
	want := []nodeState{{Addr: "10.0.0.1", Self: true, Status: "ready", Role: "active", Connections: 1241, Revision: 17, Version: version}}
	if diff := cmp.Diff(want, s.state(0).Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}
