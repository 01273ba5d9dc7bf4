package vrrp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// notes are what hooks were called with, in order.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}

// take are those since the last time.
func (n *notes) take() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

// preparing has the first node lose power, and begins when the second one has decided to
// be Active: it prepares as how says.
func preparing(t *testing.T, how func(ctx context.Context), do func(t *testing.T, f *fleet, two *simNode)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := pair(t)
		two := f.nodes[1]
		two.preparing, f.slow = how, prepareTime
		defer f.run()()
		f.settled(0)
		f.nodes[0].crash()
		f.decided(two)
		do(t, f, two)
	})
}

// decided waits until a node is Active.
func (f *fleet) decided(n *simNode) {
	f.t.Helper()
	for range time.Second / sampled {
		if time.Sleep(sampled); n.v.Status().Role == RoleActive {
			return
		}
	}
	f.fail("%s: got %s, want it to be active", n.addr(), n.v.Status().Role)
}

// nobody wants no node to have the address for a while.
func (f *fleet) nobody(d time.Duration) {
	f.t.Helper()
	for range d / sampled {
		if time.Sleep(sampled); len(f.holders()) > 0 {
			f.fail("%v have the address, want nobody yet", f.holders())
		}
	}
}

// has wants one node to have the address by now.
func (f *fleet) has(n *simNode) {
	f.t.Helper()
	synctest.Wait()
	if !n.holds() || !n.v.Status().Held {
		f.fail("%s does not have the address, want it to", n.addr())
	}
}

func sleeps(d time.Duration) func(context.Context) {
	return func(context.Context) { time.Sleep(d) }
}

// untilEnd prepares until ctx ends, and notes why that was.
func untilEnd(n *notes) func(context.Context) {
	return func(ctx context.Context) {
		n.add("prepare")
		<-ctx.Done()
		n.add("%v", ctx.Err())
	}
}

func TestAddressesWaitForPrepare(t *testing.T) {
	preparing(t, sleeps(250*time.Millisecond), func(t *testing.T, f *fleet, two *simNode) {
		was := two.v.Status().Counters
		f.nobody(245 * time.Millisecond)
		now := two.v.Status()
		if now.Counters.Sent < was.Sent+2 || now.Counters.Announced != 0 || now.Held || now.Took >= 0 {
			t.Errorf("while it prepares: got %+v, want it to advertise and nothing else", now)
		}
		time.Sleep(10 * time.Millisecond)
		f.has(two)
		if got := two.v.Status(); got.Took < 250*time.Millisecond || got.Took > 255*time.Millisecond || got.Counters.Announced == 0 {
			t.Errorf("got %s and %d announcements, want the time of Prepare in it, and one", got.Took, got.Counters.Announced)
		}
	})
}

// One that hangs costs its time at each take-over, but not more, also when Run ends.
func TestPrepareThatHangs(t *testing.T) {
	release, calls := sync.OnceValue(func() chan struct{} { return make(chan struct{}) }), &notes{} // of the bubble
	hang := func(ctx context.Context) {
		calls.add("prepare")
		<-ctx.Done()
		calls.add("%v", ctx.Err())
		<-release()
	}
	preparing(t, hang, func(t *testing.T, f *fleet, two *simNode) {
		f.nobody(prepareTime - 5*time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		f.has(two)
		if got, want := calls.take(), []string{"prepare", context.DeadlineExceeded.Error()}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		one := f.nodes[0]
		one.start()
		f.settled(0)
		for _, n := range []*simNode{two, one} {
			if err := n.v.Yield(t.Context(), "asked"); err != nil {
				t.Errorf("got %v, want none", err)
			}
		}
		f.nobody(prepareTime - 10*time.Millisecond)
		time.Sleep(15 * time.Millisecond)
		f.has(two)
		began := time.Now()
		two.end()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the end: got it after %s, want it within 3 s", took)
		}
		if got := calls.take(); got != nil {
			t.Errorf("got %q, want no call beside one that hangs", got)
		}
		close(release())
	})
}

func TestBeatenWhilePreparing(t *testing.T) {
	calls := &notes{}
	preparing(t, untilEnd(calls), func(t *testing.T, f *fleet, two *simNode) {
		f.nobody(100 * time.Millisecond)
		f.inject(two, Advertisement{Version: 3, VRID: 7, Priority: 255, Interval: 100 * time.Millisecond, Addrs: two.cfg.advertised()})
		if got, want := calls.take(), []string{"prepare", context.Canceled.Error()}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		f.nobody(250 * time.Millisecond)
		if s := two.v.Status(); s.Role != RoleBackup {
			t.Errorf("got %s, want backup", s.Role)
		}
	})
}

// One that leaves does not begin to hold the addresses: somebody else may have them by
// now. When nobody has, it goes on.
func TestYieldWhilePreparing(t *testing.T) {
	preparing(t, sleeps(60*time.Millisecond), func(t *testing.T, f *fleet, two *simNode) {
		result := make(chan error, 1)
		go func() { result <- two.v.Yield(context.Background(), "asked") }()
		f.nobody(140 * time.Millisecond) // 150 until it is clear that nobody follows
		if err := <-result; !errors.Is(err, ErrNobodyFollows) {
			t.Errorf("got %v, want %v", err, ErrNobodyFollows)
		}
		time.Sleep(time.Millisecond)
		f.has(two)
	})
}

func TestStopWhilePreparing(t *testing.T) {
	calls := &notes{}
	preparing(t, untilEnd(calls), func(t *testing.T, f *fleet, two *simNode) {
		over := make(chan struct{})
		go func() { two.end(); close(over) }()
		f.nobody(400 * time.Millisecond)
		<-over
		if got, want := calls.take(), []string{"prepare", context.Canceled.Error()}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestOtherSettingsWhilePreparing(t *testing.T) {
	calls := &notes{}
	preparing(t, untilEnd(calls), func(t *testing.T, f *fleet, two *simNode) {
		two.cfg.VRID = 9
		if err := two.v.Apply(two.cfg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		if got, want := calls.take(), []string{"prepare", context.Canceled.Error()}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		f.decided(two)
		f.nobody(prepareTime - 5*time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		f.has(two)
		if got, want := calls.take(), []string{"prepare", context.DeadlineExceeded.Error()}; !slices.Equal(got, want) {
			t.Errorf("in the new election: got %q, want %q", got, want)
		}
	})
}

// A resignation that comes late is answered, but there is nothing to announce yet.
func TestResignationHeardWhilePreparing(t *testing.T) {
	preparing(t, sleeps(200*time.Millisecond), func(t *testing.T, f *fleet, two *simNode) {
		time.Sleep(50 * time.Millisecond)
		was := two.v.Status().Counters
		f.inject(two, Advertisement{Version: 3, VRID: 7, Interval: 100 * time.Millisecond, Addrs: two.cfg.advertised()})
		if now := two.v.Status().Counters; now.Sent != was.Sent+1 || now.Announced != 0 {
			t.Errorf("got %d advertisements more and %d announcements, want 1 and none", now.Sent-was.Sent, now.Announced)
		}
		f.nobody(140 * time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		f.has(two)
	})
}

func TestGuardDiesWhilePreparing(t *testing.T) {
	preparing(t, sleeps(300*time.Millisecond), func(t *testing.T, f *fleet, two *simNode) {
		time.Sleep(20 * time.Millisecond)
		two.guard.kill()
		f.nobody(270 * time.Millisecond)
		time.Sleep(15 * time.Millisecond)
		f.has(two)
		f.steady(0, time.Second)
	})
}

// A process that was stopped while it prepared, and wakes up, has lost its term.
func TestStandStillWhilePreparing(t *testing.T) {
	preparing(t, sleeps(20*time.Millisecond), func(t *testing.T, f *fleet, two *simNode) {
		two.pause()
		f.nobody(time.Second)
		two.cont()
		f.nobody(250 * time.Millisecond) // it is Backup first
		f.settled(0)
	})
}

func TestFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pair(t)
		one, two := f.nodes[0], f.nodes[1]
		first, second := &notes{}, &notes{}
		one.followed = func(a netip.Addr) { first.add("%s", a) }
		two.followed = func(a netip.Addr) { second.add("%s", a) }
		defer f.run()()
		f.settled(0)
		want := func(what string, n *notes, list ...string) {
			t.Helper()
			if got := n.take(); !slices.Equal(got, list) {
				t.Errorf("%s: got %q, want %q", what, got, list)
			}
		}
		want("the first one that is heard", second, "10.0.0.1")
		want("nobody but itself", first)
		yield := func(n *simNode) {
			t.Helper()
			if err := n.v.Yield(t.Context(), "asked"); err != nil {
				t.Fatal(err)
			}
			f.settled(0)
		}
		yield(one)
		want("it was active", first, "10.0.0.2")
		want("it is active", second)
		yield(two)
		yield(one)
		want("it was active in between", first, "10.0.0.2")
		want("likewise", second, "10.0.0.1")
		f.inject(two, Advertisement{Version: 3, VRID: 7, Priority: 1, Interval: 100 * time.Millisecond, Addrs: two.cfg.advertised()})
		f.watch(time.Second)
		want("a rival that loses", second)
		f.inject(one, Advertisement{Version: 3, VRID: 7, Priority: 255, Interval: 100 * time.Millisecond, Addrs: one.cfg.advertised()})
		f.watch(300 * time.Millisecond)
		want("another one than before, and back", first, "10.0.0.9", "10.0.0.2")
		one.unready.Store(true)
		one.v.SetReady(false, "the tunnel is blocked")
		two.crash()
		f.watch(time.Second)
		want("silence", first)
		two.start()
		f.watch(time.Second)
		want("the same again", first)
		f.inject(one, Advertisement{Version: 3, VRID: 7, Priority: 255, Interval: 100 * time.Millisecond, Addrs: one.cfg.advertised()})
		want("in fault", first, "10.0.0.9")
		f.watch(time.Second)
		want("in fault, and the former one again", first, "10.0.0.2")
		f.inject(one, Advertisement{Version: 3, VRID: 7, Interval: 100 * time.Millisecond, Addrs: one.cfg.advertised()})
		f.watch(time.Second)
		want("one that resigns", first)
	})
}

// Calls that have become pointless are left out, so that one that hangs does no harm.
func TestQueueOfHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, release := &notes{}, make(chan struct{})
		h := newHooks(Deps{
			Prepare:  func(context.Context) { calls.add("prepare"); <-release },
			Followed: func(a netip.Addr) { calls.add("%s", a) },
		})
		done := make(chan struct{})
		go h.run(done)
		h.follow(addr("10.0.0.1"))
		h.prepare(1, time.Now().Add(prepareTime))
		if got, want := calls.take(), []string{"10.0.0.1", "prepare"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		for term := range uint64(100) {
			h.follow(addr("10.0.0.2"))
			h.prepare(term+2, time.Now().Add(prepareTime)).end()
		}
		h.follow(addr("10.0.0.3"))
		last := h.prepare(200, time.Now().Add(prepareTime))
		if len(h.queue) != 2 {
			t.Errorf("got %d calls that wait, want 2", len(h.queue))
		}
		close(done)
		h.end()
		close(release)
		<-h.over
		if got, want := calls.take(), []string{"10.0.0.3", "prepare"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		last.end()
	})
}
