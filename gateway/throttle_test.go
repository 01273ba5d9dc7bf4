package gateway

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// A rate of one token in so long a time that none comes back during a test.
func slow(burst int) *Throttle {
	t := NewThrottle(1, burst)
	t.limit = rate.Every(time.Hour)
	t.shared = rate.NewLimiter(t.limit, burst)
	return t
}

func take(t *Throttle, client string) bool { return t.Allow(netip.MustParseAddr(client)) }

func TestThrottleIsPerClient(t *testing.T) {
	for _, tt := range []struct {
		name         string
		first, other string
		same         bool
	}{
		{"another IPv4 address", "192.0.2.1", "192.0.2.2", false},
		{"the same, mapped", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"the same /64", "2001:db8::1", "2001:db8::ffff:1:2:3", true},
		{"the next /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"the same with a zone", "fe80::1%eth0", "fe80::2%eth1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			th := slow(2)
			for range 2 {
				if !take(th, tt.first) {
					t.Fatal("the burst was refused")
				}
			}
			if take(th, tt.first) {
				t.Fatal("got more than the burst")
			}
			if got := take(th, tt.other); got == tt.same {
				t.Errorf("got %v for %s, want one bucket for both: %v", got, tt.other, tt.same)
			}
		})
	}
}

func TestThrottleIsAskedWithoutTaking(t *testing.T) {
	th, one, other := slow(2), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for range 2 {
		for range 10 {
			if th.Empty(one) {
				t.Fatal("got empty, want what was not taken to be there")
			}
		}
		th.Allow(one)
	}
	if !th.Empty(one) || th.Empty(other) || len(th.buckets) != 1 {
		t.Errorf("got empty %t and %t, %d remembered, want the first alone", th.Empty(one), th.Empty(other), len(th.buckets))
	}
	if free := NewThrottle(0, 0); !free.Allow(one) || free.Empty(one) {
		t.Error("got a limit, want none")
	}
}

func TestThrottleWithoutLimit(t *testing.T) {
	for _, th := range []*Throttle{NewThrottle(0, 0), NewThrottle(-1, 5)} {
		client := netip.MustParseAddr("192.0.2.1")
		for range 1000 {
			if !th.Allow(client) {
				t.Fatal("got a limit, want none")
			}
		}
		if len(th.buckets) != 0 {
			t.Errorf("got %d buckets kept for nothing", len(th.buckets))
		}
	}
}

func TestThrottleFillsUpAgain(t *testing.T) {
	th, client := NewThrottle(100, 1), netip.MustParseAddr("192.0.2.1")
	if !th.Allow(client) {
		t.Fatal("the first was refused")
	}
	eventually(t, "another token", func() bool { return th.Allow(client) })
}

// many is the i-th of many IPv4 clients.
func many(i int) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24+uint32(i))))
}

func TestThrottleIsBounded(t *testing.T) {
	th := slow(2)
	for i := range throttleSize {
		th.Allow(many(i))
	}
	late, later := many(throttleSize), many(throttleSize+1)
	if !th.Allow(late) || !th.Allow(later) || th.Allow(late) {
		t.Error("clients over the bound do not share one bucket of 2")
	}
	if got := len(th.buckets); got != throttleSize {
		t.Errorf("got %d buckets, want %d", got, throttleSize)
	}
	if !th.Allow(many(0)) || th.Allow(many(0)) {
		t.Error("a client with a bucket of its own lost it")
	}
}

func TestThrottleForgetsFullBuckets(t *testing.T) {
	th := NewThrottle(1000, 1)
	for i := range throttleSize {
		th.Allow(many(i))
	}
	eventually(t, "room for a newcomer", func() bool {
		th.Allow(many(throttleSize))
		return len(th.buckets) < throttleSize
	})
}

func TestThrottleAtOnce(t *testing.T) {
	th := slow(10)
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for i := range 8 {
		all.Go(func() {
			for j := range 100 {
				client := fmt.Sprintf("192.0.2.%d", (i+j)%4)
				if take(th, client) {
					mu.Lock()
					got[client]++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	for client, n := range got {
		if n != 10 {
			t.Errorf("got %d tokens for %s, want 10", n, client)
		}
	}
}
