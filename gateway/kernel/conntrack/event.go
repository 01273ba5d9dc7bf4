package conntrack

import "fmt"

// Kind is what an event tells. New, Update and Destroy are bits: a Listener is asked for
// several of them.
type Kind uint8

// What may happen.
const (
	New     Kind = 1 << iota // an entry was made
	Update                   // its state, mark or status changed
	Destroy                  // it is gone; with counters, when the kernel counts
	Overrun                  // events were lost: Flow is empty, dump again
)

func (k Kind) String() string {
	switch k {
	case New:
		return "new"
	case Update:
		return "update"
	case Destroy:
		return "destroy"
	case Overrun:
		return "overrun"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Event is something that happened to a flow. An Update has State, Status, Timeout and
// Mark as they are now.
type Event struct {
	Kind Kind
	Flow Flow
	// By is the port of the netlink socket that did it (see Table.Port); 0 when packets
	// did, or time.
	By uint32
}

// parseEvent reads a message of the groups. ok is false when it tells nothing of a TCP
// flow.
func parseEvent(m message) (e Event, ok bool, err error) {
	switch {
	case m.kind == msgNew && m.flags&flagCreate != 0:
		e.Kind = New
	case m.kind == msgNew:
		e.Kind = Update
	case m.kind == msgDelete:
		e.Kind = Destroy
	default:
		return Event{}, false, nil
	}
	e.By = m.port
	e.Flow, ok, err = parseFlow(m.body)
	return e, ok && err == nil, err
}
