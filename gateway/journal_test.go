package gateway

import (
	"slices"
	"sync"
	"testing"

	"vdi-gateway/gateway/relay"
)

// journal keeps the events of a gateway.
type journal struct {
	mu     sync.Mutex
	events []Event
}

func (j *journal) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// of returns the events of one connection, in order.
func (j *journal) of(id ConnectionID) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.events), func(e Event) bool { return e.ID != id })
}

func (j *journal) count(kind EventKind) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, e := range j.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// closed waits for the end of a session and checks that it was told once.
func (j *journal) closed(t testing.TB, id ConnectionID, want relay.Reason) Event {
	t.Helper()
	eventually(t, "the session's close", func() bool {
		return slices.ContainsFunc(j.of(id), func(e Event) bool { return e.Kind == EventClose })
	})
	events := j.of(id)
	if len(events) != 2 || events[0].Kind != EventOpen || events[1].Kind != EventClose {
		t.Fatalf("got events %+v, want one open and then one close", events)
	}
	if got := events[1].Reason; got != want {
		t.Errorf("got reason %s, want %s", got, want)
	}
	return events[1]
}
