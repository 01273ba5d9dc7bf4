package kernel

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

func samples() []shared {
	p := netip.MustParseAddrPort
	return []shared{
		{p("10.9.0.100:40000"), p("10.9.0.10:5901"), p("10.8.0.10:1024"), p("10.8.0.50:5900"), time.Unix(1, 2)},
		{p("[fd09::100]:40000"), p("[fd09::10]:5901"), p("[fd08::10]:40000"), p("[fd08::50]:5900"), time.Unix(3, 4)},
	}
}

func TestRecordSaysWhatItWasTold(t *testing.T) {
	for _, want := range samples() {
		got, err := want.record().decode()
		if err != nil || got != want {
			t.Errorf("got %+v and %v, want %+v", got, err, want)
		}
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	good := samples()[0].record()
	change := func(at int, b byte) []byte {
		v := bytes.Clone(good.Value)
		v[at] = b
		return v
	}
	for _, tt := range []struct {
		name string
		r    Record
	}{
		{"empty", Record{good.ID, nil}},
		{"another version", Record{good.ID, change(0, 2)}},
		{"another family", Record{good.ID, change(1, 5)}},
		{"the other family", Record{good.ID, change(1, 6)}},
		{"too short", Record{good.ID, good.Value[:33]}},
		{"too long", Record{good.ID, append(bytes.Clone(good.Value), 0)}},
		{"of another flow", Record{samples()[1].record().ID, good.Value}},
		{"without a VM", Record{good.ID, append(append(bytes.Clone(good.Value[:20]), 0, 0, 0, 0), good.Value[24:]...)}},
	} {
		if s, err := tt.r.decode(); err == nil {
			t.Errorf("%s: got %+v, want an error", tt.name, s)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, s := range samples() {
		r := s.record()
		f.Add(r.ID, r.Value)
	}
	f.Fuzz(func(t *testing.T, id string, value []byte) {
		s, err := Record{id, value}.decode()
		if err != nil {
			return
		}
		if again := s.record(); again.ID != id || !bytes.Equal(again.Value, value) {
			t.Errorf("got %x, want %x", again.Value, value)
		}
	})
}
