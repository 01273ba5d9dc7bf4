package main

import (
	"time"

	"vdi-gateway/tests/bench/load"
	"vdi-gateway/tests/bench/peer"
)

// used is the processor time of a relay within a generator's measured time.
type used struct {
	relay *peer.Relay // nil: there is none
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

func look(r *peer.Relay) (h holding, err error) {
	if h.memory, err = r.Memory(); err != nil {
		return h, err
	}
	h.descriptors, err = r.Descriptors()
	return h, err
}
