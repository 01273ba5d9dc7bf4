package main

import (
	"time"

	"vdi-gateway/tests/bench/load"
)

// meter tells what a relay, or several, have used.
type meter interface {
	CPU() (time.Duration, error)
	Memory() (int64, error)
	Descriptors() (int, error)
}

// used is the processor time of a relay within a generator's measured time.
type used struct {
	relay meter // nil: there is none
	cpu   time.Duration
	err   error
}

func (u *used) marks() load.Marks {
	if u.relay == nil {
		return load.Marks{}
	}
	var before time.Duration
	return load.Marks{
		Begin: func() { before, u.err = u.relay.CPU() },
		End: func() {
			after, err := u.relay.CPU()
			u.cpu, u.err = after-before, first(u.err, err)
		},
	}
}

// holding is what a relay has.
type holding struct {
	memory      int64 // bytes
	descriptors int
}

func look(r meter) (h holding, err error) {
	if h.memory, err = r.Memory(); err != nil {
		return h, err
	}
	h.descriptors, err = r.Descriptors()
	return h, err
}
