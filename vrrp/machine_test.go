package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// router is one of version 3 at 100 ms with the address 10.0.0.5. With priority 192
// skew is 25 ms and Active_Down_Interval 325 ms.
func router(priority uint8) election {
	return election{version: 3, priority: priority, interval: 100 * time.Millisecond, source: netip.MustParseAddr("10.0.0.5")}
}

func preempting(priority uint8, delay time.Duration) election {
	e := router(priority)
	e.preempt, e.delay = true, delay
	return e
}

func old(priority uint8) election {
	e := router(priority)
	e.version, e.interval = 2, time.Second
	return e
}

// The numbers are those of the checklist of the protocol: RFC 9568 sections 6 to 8, and
// from 41 on RFC 3768.
func TestElection(t *testing.T) {
	const alone = `
		0 start            | backup due 325ms
		325ms expire       | active sends 192 due 425ms
	`
	const beside = `
		0 start            | backup due 325ms
		50ms heard 100     | backup due 375ms
	`
	for _, s := range []story{
		{"6.4.1: a router starts as backup", router(192), `0 start | backup due 325ms`},
		{"6.4.1: started twice is started once", router(192), "0 start | backup due 325ms\n 9ms start | backup due 325ms"},
		{"19: the owner of the address is active at once", router(255), `0 start | active sends 255 due 100ms`},
		{"23: three intervals and the skew without an advertisement make it active", router(192), `
			0 start            | backup due 325ms
			324ms expire       | backup due 325ms
			325ms expire       | active sends 192 due 425ms`},
		{"22: skew, the highest priority is the first", router(254), `0 start | backup due 301ms`},
		{"22: skew, the lowest is the last", router(1), `0 start | backup due 400ms`},
		{"6.4.3: an active router advertises every interval", router(192), alone + `
			425ms expire       | active sends 192 due 525ms
			525ms expire       | active sends 192 due 625ms`},
		{"6.4.3: a late advertisement does not delay the next", router(192), alone + `
			430ms expire       | active sends 192 due 525ms`},
		{"6.4.3: what is later than an interval is not made good", router(192), alone + `
			640ms expire       | active sends 192 due 740ms`},
		{"6.4.2: an advertisement of a higher priority keeps it backup", router(192), `
			0 start            | backup due 325ms
			300ms heard 200    | backup due 625ms`},
		{"6.4.2: of the same priority too", router(192), `
			0 start            | backup due 325ms
			300ms heard 192    | backup due 625ms`},
		{"25: without preempt a lower priority too", router(192), beside},
		{"24: with preempt a lower priority does not", preempting(192, 0), `
			0 start            | backup due 325ms
			300ms heard 100    | backup due 325ms
			325ms expire       | active sends 192 due 425ms`},
		{"24: the preempt delay lets a lower priority be for a while", preempting(192, time.Second), `
			0 start            | backup due 325ms
			100ms heard 100    | backup due 425ms
			1099ms heard 100   | backup due 1.424s
			1100ms heard 100   | backup due 1.424s
			1424ms expire      | active sends 192 due 1.524s`},
		{"24: a higher priority in between begins the delay anew", preempting(192, time.Second), `
			0 start            | backup due 325ms
			100ms heard 100    | backup due 425ms
			200ms heard 200    | backup due 525ms
			1150ms heard 100   | backup due 1.475s`},
		{"19: the owner preempts, whatever it was told", func() election { e := router(255); e.preempt = false; return e }(), `
			0 start            | active sends 255 due 100ms
			1s paused 1s       | backup due 1.3s
			1090ms heard 100   | backup due 1.3s`},
		{"21: who hears a resignation waits for the skew time", router(192), beside + `
			60ms heard 0       | backup due 85ms
			85ms expire        | active sends 192 due 185ms`},
		{"21: a successor's advertisement ends the waiting", router(192), beside + `
			60ms heard 0       | backup due 85ms
			70ms heard 200     | backup due 395ms`},
		{"15: a backup learns the interval of the active router", router(192), beside + `
			60ms heard 200 every 1s  | backup due 3.31s
			70ms heard 0 every 1s    | backup due 320ms`},
		{"15: but not to be silent for minutes", router(192), beside + `
			60ms heard 255 every 40s | backup due 32.56s`},
		{"15: a change of settings does not make it forget", router(192), beside + `
			60ms heard 200 every 1s  | backup due 3.31s
			70ms config 192          | backup due 3.32s`},
		{"15: and unlearns it", router(192), beside + `
			60ms heard 200 every 1s     | backup due 3.31s
			70ms heard 200 every 100ms  | backup due 395ms`},
		{"6.4.3: a higher priority makes an active router step down, with a last word", router(192), alone + `
			350ms heard 200    | backup sends 192 due 675ms`},
		{"26: a tie, the higher address wins", router(192), alone + `
			350ms heard 192 from 10.0.0.6 | backup sends 192 due 675ms`},
		{"26: a tie, the lower address loses", router(192), alone + `
			350ms heard 192 from 10.0.0.4 | active sends 192 due 450ms`},
		{"19: two owners, the higher address wins", router(255), `
			0 start            | active sends 255 due 100ms
			50ms heard 255 from 10.0.0.6 | backup sends 255 due 350ms`},
		{"27: a lower priority is answered at once", router(192), alone + `
			350ms heard 100    | active sends 192 due 450ms`},
		{"27: but a flood is not", router(192), alone + `
			350ms heard 100    | active sends 192 due 450ms
			351ms heard 100    | active due 355ms
			352ms heard 100    | active due 355ms
			355ms expire       | active sends 192 ...`},
		{"6.4.3: a resignation is answered at once", router(192), alone + `
			350ms heard 0      | active sends 192 due 450ms`},
		{"20: an active router that stops resigns, and goes when its successor is heard", router(192), alone + `
			350ms stop         | active leaving sends 0 due 500ms
			360ms heard 100    | fault`},
		{"20: or when nobody comes", router(192), alone + `
			350ms stop         | active leaving sends 0 due 500ms
			500ms expire       | fault`},
		{"20: another resignation is no successor", router(192), alone + `
			350ms stop         | active leaving sends 0 due 500ms
			360ms heard 0      | active leaving due 500ms`},
		{"20: a backup that stops says nothing", router(192), beside + `60ms stop | fault`},
		{"a hand-over makes it backup when its successor is heard", router(192), alone + `
			350ms yield        | active leaving sends 0 due 500ms
			360ms heard 100    | backup due 685ms`},
		{"a hand-over to nobody does not happen", router(192), alone + `
			350ms yield        | active leaving sends 0 due 500ms
			500ms expire       | active sends 192 due 600ms`},
		{"who has handed over does not preempt", preempting(192, 0), alone + `
			350ms yield        | active leaving sends 0 due 500ms
			360ms heard 100    | backup due 685ms
			460ms heard 100    | backup due 785ms
			785ms expire       | active sends 192 due 885ms
			900ms heard 200    | backup sends 192 due 1.225s
			950ms heard 100    | backup due 1.225s`},
		{"a backup has nothing to hand over", router(192), beside + `60ms yield | backup due 375ms`},
		{"a stop during a hand-over is a stop", router(192), alone + `
			350ms yield        | active leaving sends 0 due 500ms
			360ms stop         | active leaving due 500ms
			500ms expire       | fault`},
		{"fault: the interface is gone", router(192), alone + `350ms vanish | fault`},
		{"fault: and comes back", router(192), alone + "350ms vanish | fault\n 400ms start | backup due 725ms"},
		{"an active router that was stopped steps down before it says anything", router(192), alone + `
			8s paused 7s       | backup due 8.325s`},
		{"and resigns when the others cannot have noticed yet", router(192), alone + `
			525ms paused 100ms | backup sends 0 due 850ms`},
		{"and while it was leaving it is gone", router(192), alone + `
			350ms stop         | active leaving sends 0 due 500ms
			8s paused 7s       | fault`},
		{"a backup that was stopped past its time reads first what arrived", router(192), beside + `
			8s paused 7s       | backup due 8.125s
			8001ms heard 200   | backup due 8.326s`},
		{"and takes over when nothing did", router(192), beside + `
			8s paused 7s       | backup due 8.125s
			8130ms paused 20ms | backup due 8.125s
			8130ms expire      | active sends 192 due 8.23s`},
		{"a backup that was stopped for a moment waits no longer than that", router(192), beside + `
			381ms paused 6ms   | backup due 387ms`},
		{"a backup that was stopped before its time has lost nothing", router(192), beside + `
			200ms paused 100ms | backup due 375ms`},
		{"the guard had given the address up", router(192), alone + "350ms held | active announces ...\n 600ms lost | backup due 925ms"},
		{"a new priority is said at once", router(192), alone + `350ms config 100 | active sends 100 due 450ms`},
		{"a new priority begins the timer of a backup anew", router(192), beside + `60ms config 128 | backup due 410ms`},
		{"45: version 2, the skew is a part of a second", old(192), `
			0 start            | backup due 3.25s
			1s heard 200       | backup due 4.25s
			2s heard 0         | backup due 2.25s`},
		{"46: version 2, the owner, the tie and preempting as above", func() election { e := old(192); e.preempt = true; return e }(), `
			0 start            | backup due 3.25s
			1s heard 100       | backup due 3.25s
			3250ms expire      | active sends 192 due 4.25s
			3300ms heard 192 from 10.0.0.6 | backup sends 192 due 6.55s`},
	} {
		t.Run(s.name, func(t *testing.T) { s.tell(t) })
	}
}

// Announcements come when the guard has the addresses, several times, slowly for ever,
// and again when a conflict has ended.
func TestAnnouncements(t *testing.T) {
	const active = `
		0 start            | backup due 325ms
		325ms expire       | active sends 192 due 425ms
		326ms held         | active announces due 425ms
	`
	const settled = active + `
		346ms expire       | active announces due 425ms
		526ms expire       | active sends 192 announces ...
		1326ms expire      | active sends 192 announces ...
		1500ms expire      | active sends 192 due 1.526s
	`
	for _, s := range []story{
		{"37: not before the guard has the addresses", router(192), `
			0 start            | backup due 325ms
			325ms expire       | active sends 192 due 425ms
			345ms expire       | active due 425ms`},
		{"29: when it has, a moment later, and after a second", router(192), settled},
		{"29: once for one report of the guard", router(192), active + `327ms held | active due 425ms`},
		{"29: then every minute", router(192), settled + `
			61326ms expire     | active sends 192 announces ...
			61427ms expire     | active sends 192 due 1m1.526s`},
		{"at the beginning of a conflict that is won, and at its end", router(192), settled + `
			1510ms heard 100   | active sends 192 due 1.61s
			1511ms expire      | active announces due 1.61s
			1531ms expire      | active announces due 1.61s
			1809ms expire      | active sends 192 announces due 1.909s
			1810ms expire      | active due 1.909s
			1830ms expire      | active announces due 1.909s`},
		{"a flood of resignations is not answered by another", router(192), settled + `
			1510ms heard 0     | active sends 192 due 1.61s
			1511ms expire      | active announces due 1.61s
			1516ms heard 0     | active sends 192 due 1.616s
			1517ms expire      | active due 1.616s
			1531ms expire      | active announces due 1.616s`},
		{"a conflict that goes on is announced once", router(192), settled + `
			1510ms heard 100   | active sends 192 due 1.61s
			1511ms expire      | active announces due 1.61s
			1520ms heard 100   | active sends 192 due 1.62s
			1521ms expire      | active due 1.62s`},
		{"when a rival resigns", router(192), settled + `
			1510ms heard 0     | active sends 192 due 1.61s
			1511ms expire      | active announces due 1.61s`},
		{"a backup announces nothing", router(192), settled + `
			1510ms heard 200   | backup sends 192 due 1.835s
			1700ms expire      | backup due 1.835s`},
	} {
		t.Run(s.name, func(t *testing.T) { s.tell(t) })
	}
}

// The reasons that operators read.
func TestWhy(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	peer := netip.MustParseAddr("10.0.0.9")
	begin, _ := newMachine(router(192), "", at).start("this node can serve", at)
	hear := func(m machine, p uint8) machine {
		m, _ = m.heard(Advertisement{Priority: p, Interval: m.interval}, peer, at)
		return m
	}
	over := func(m machine) machine {
		m, _ = m.expire(m.due)
		return m
	}
	stopped := func(m machine) machine {
		m, _ = m.paused(7*time.Second, at)
		return m
	}
	preempts, _ := newMachine(preempting(192, 0), "", at).start("", at)
	for want, m := range map[string]machine{
		"no other node is active":                                                   over(begin),
		"10.0.0.9 has resigned":                                                     over(hear(hear(begin, 100), 0)),
		"10.0.0.9 was not heard for 325ms":                                          over(hear(begin, 100)),
		"10.0.0.9 is active with a lower priority":                                  over(hear(preempts, 100)),
		"10.0.0.9 is active too, with priority 200":                                 hear(over(begin), 200),
		"10.0.0.9 is active too, with the same priority 192 and the higher address": hear(over(begin), 192),
		"it was stopped for 7s":                                                     stopped(over(begin)),
		"the guard had given the address up":                                        over(begin).lost(at),
	} {
		if m.why != want {
			t.Errorf("got %q, want %q", m.why, want)
		}
	}
}
