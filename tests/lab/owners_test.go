package lab

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestSpans(t *testing.T) {
	a, b := &Host{name: "a"}, &Host{name: "b"}
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	type span struct {
		from, to int
		owners   []*Host
	}
	for _, tt := range []struct {
		name    string
		changes []change
		from    int
		want    []span
	}{
		{"nobody ever", nil, 0, []span{{0, 100, nil}}},
		{"one, renewed", []change{{at(10), a, true}, {at(20), a, true}}, 0, []span{{0, 10, nil}, {10, 100, []*Host{a}}}},
		{"before it matters", []change{{at(10), b, true}, {at(15), a, true}}, 20, []span{{20, 100, []*Host{a, b}}}},
		{
			"handed over",
			[]change{{at(0), a, true}, {at(40), a, false}, {at(40), a, false}, {at(60), b, true}},
			30,
			[]span{{30, 40, []*Host{a}}, {40, 60, nil}, {60, 100, []*Host{b}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := spans([]*Host{a, b}, tt.changes, at(tt.from), at(100))
			same := slices.EqualFunc(got, tt.want, func(s Span, w span) bool {
				return s.From.Equal(at(w.from)) && s.To.Equal(at(w.to)) && slices.Equal(s.Owners, w.owners)
			})
			if !same {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestOwnersAreSeen(t *testing.T) {
	n := New(t)
	a, b := n.Host("a", "10.99.0.1/24", "fd99::1/64"), n.Host("b", "10.99.0.2/24", "fd99::2/64")
	addrs := []netip.Addr{netip.MustParseAddr("10.99.0.100")}
	if IPv6() {
		addrs = append(addrs, netip.MustParseAddr("fd99::100"))
	}
	for _, addr := range addrs {
		if err := a.Take(addr); err != nil {
			t.Fatal(err)
		}
		o, err := n.Owners(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		for _, step := range []struct {
			name string
			do   func() error
			want []*Host
		}{
			{"there before", func() error { return nil }, []*Host{a}},
			{"on both", func() error { return b.Take(addr) }, []*Host{a, b}},
			{"dropped", func() error { return a.Drop(addr) }, []*Host{b}},
			{"gone with its interface", b.RemoveLink, nil},
			{"nothing more with a new one", b.AddLink, nil},
		} {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			end := time.Now().Add(patience)
			for !slices.Equal(o.Now(), step.want) && time.Now().Before(end) {
				time.Sleep(time.Millisecond)
			}
			if got := o.Now(); !slices.Equal(got, step.want) {
				t.Fatalf("%s, %s: got %v, want %v", addr, step.name, got, step.want)
			}
		}
		if err := o.Err(); err != nil {
			t.Errorf("got %v, want everything seen", err)
		}
	}
}
