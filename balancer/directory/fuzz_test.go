package directory

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

func samples() []message {
	a := &origin{originID: originID{netip.MustParseAddr("10.0.0.1"), 7}}
	b := &origin{originID: originID{netip.MustParseAddr("2001:db8::1"), 8}}
	e := &entry{text: "keyvalue", keySize: 3, from: b, seq: 5, stamp: 1e18, expires: 2e18}
	dead := &entry{text: "key", keySize: 3, from: a, seq: 6, stamp: 1e18, dead: true}
	return []message{
		{what: ask, from: 1},
		{what: push, from: 1, to: 2, complete: true, vector: []mark{{a.originID, 9}}, items: []item{{"grant", e}, {"sticky", dead}}},
		{what: share, from: 1, items: []item{{"grant", e}}},
	}
}

// FuzzMessage decodes bytes; what is a message survives being written again.
func FuzzMessage(f *testing.F) {
	for _, m := range samples() {
		f.Add(m.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMessage(b)
		if err != nil {
			return
		}
		first := m.encode()
		again, err := decodeMessage(first)
		if err != nil {
			t.Fatalf("%+v does not survive: %v", m, err)
		}
		if !bytes.Equal(again.encode(), first) {
			t.Fatalf("got %+v, want %+v", again, m)
		}
		for _, i := range m.items {
			if r := i.record(); !r.valid() {
				t.Fatalf("%+v is beyond the limits", r)
			}
		}
	})
}

// FuzzAnswer does the same for answers, and takes statuses, too.
func FuzzAnswer(f *testing.F) {
	f.Add(answer{outcome: refused, instance: 1, reason: "why", vector: samples()[1].vector}.encode())
	f.Add(Status{Role: "active", Revision: -1, Connections: 5, Ready: true, Version: "1.0"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := decodeStatus(b); decodeStatus(s.encode()) != s || len(s.encode()) > 200 {
			t.Errorf("%+v does not survive", s)
		}
		a, err := decodeAnswer(b)
		if err != nil {
			return
		}
		if again, err := decodeAnswer(a.encode()); err != nil || !bytes.Equal(again.encode(), a.encode()) {
			t.Fatalf("got %+v and %v, want %+v", again, err, a)
		}
	})
}

func TestCutMessagesAreRefused(t *testing.T) {
	for _, m := range samples() {
		whole := m.encode()
		if _, err := decodeMessage(whole); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
		for n := range whole {
			if _, err := decodeMessage(whole[:n]); err == nil {
				t.Errorf("%d bytes of %d pass for a message", n, len(whole))
			}
		}
	}
	if _, err := decodeMessage(make([]byte, MaxMessage+1)); err == nil {
		t.Error("a message beyond MaxMessage passes")
	}
	if a, err := decodeAnswer(answer{outcome: refused, instance: 1, reason: strings.Repeat("x", 999)}.encode()); err != nil || len(a.reason) != maxReason {
		t.Errorf("got a reason of %d bytes and %v, want it cut to %d", len(a.reason), err, maxReason)
	}
}
