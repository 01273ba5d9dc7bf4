package relay

import "time"

// pongTime is what a client has to show life in after a ping.
const pongTime = 10 * time.Second

// vigil decides when a client is pinged, and when it is given up. Whoever holds it
// brings the time and acts.
type vigil struct {
	every, pong time.Duration
	since       time.Time // last ping, or last sign of life by what was taken
	asked       bool      // nothing was heard since
	busy        bool      // data was on its way when it was asked
	acked       uint64    // what it had taken by then
}

// verdict of a vigil.
type verdict int

const (
	quiet verdict = iota
	askIt
	lost
)

func newVigil(opt Options, now time.Time) vigil {
	v := vigil{every: opt.Ping, pong: opt.Pong, since: now}
	if v.pong == 0 {
		v.pong = pongTime
	}
	return v
}

// look is to be called now and then. heard is when the last byte of the client came;
// took tells how much it has taken in all, and whether more waits to be sent. Taking
// is a sign of life: a ping is queued behind data, and the answer may take its time.
func (v *vigil) look(now, heard time.Time, took func() (acked uint64, busy bool)) verdict {
	if v.asked && heard.After(v.since) {
		v.asked = false
	}
	passed := now.Sub(v.since)
	switch {
	case !v.asked && passed >= v.every:
		v.asked, v.since = true, now
		v.acked, v.busy = took()
		return askIt
	case v.asked && passed >= v.pong:
		acked, busy := took()
		if acked <= v.acked || !busy && !v.busy {
			return lost
		}
		v.asked, v.since = false, now
	}
	return quiet
}

// next is when look has something to do again.
func (v *vigil) next() time.Time {
	if v.asked {
		return v.since.Add(min(v.every, v.pong))
	}
	return v.since.Add(v.every)
}
