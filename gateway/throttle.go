package gateway

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// throttleSize bounds what strangers can make a Throttle remember.
	throttleSize = 1 << 16
	// throttleSweep is the least time between two searches for buckets that
	// are full again and can be forgotten.
	throttleSweep = time.Second
)

// Throttle is a bounded table of token buckets by client. An IPv6 client is
// its /64, since it can take any address of that. When the table is full,
// clients not in it share one bucket.
type Throttle struct {
	limit rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[netip.Addr]*rate.Limiter
	shared  *rate.Limiter
	swept   time.Time
}

// NewThrottle allows each client perSecond tokens a second and burst at once.
// perSecond 0 means no limit.
func NewThrottle(perSecond, burst int) *Throttle {
	limit := rate.Limit(perSecond)
	if perSecond <= 0 {
		limit = rate.Inf
	}
	return &Throttle{
		limit: limit, burst: burst,
		buckets: map[netip.Addr]*rate.Limiter{}, shared: rate.NewLimiter(limit, burst),
	}
}

// Allow takes one token of the client's bucket; false when it is empty.
func (t *Throttle) Allow(client netip.Addr) bool {
	if t.limit == rate.Inf {
		return true
	}
	now := time.Now()
	return t.bucket(client, now).AllowN(now, 1)
}

// Empty tells whether Allow would say no. It takes nothing and remembers nothing.
func (t *Throttle) Empty(client netip.Addr) bool {
	t.mu.Lock()
	b := t.buckets[throttleKey(client)]
	if b == nil && len(t.buckets) >= throttleSize {
		b = t.shared
	}
	t.mu.Unlock()
	return b != nil && t.limit != rate.Inf && b.TokensAt(time.Now()) < 1
}

func (t *Throttle) bucket(client netip.Addr, now time.Time) *rate.Limiter {
	key := throttleKey(client)
	t.mu.Lock()
	defer t.mu.Unlock()
	if b, ok := t.buckets[key]; ok {
		return b
	}
	if len(t.buckets) >= throttleSize && !t.sweep(now) {
		return t.shared
	}
	b := rate.NewLimiter(t.limit, t.burst)
	t.buckets[key] = b
	return b
}

// sweep forgets buckets that are full, which is what a new one would be. It
// tells whether there is room now.
func (t *Throttle) sweep(now time.Time) bool {
	if now.Sub(t.swept) >= throttleSweep {
		t.swept = now
		for key, b := range t.buckets {
			if b.TokensAt(now) >= float64(t.burst) {
				delete(t.buckets, key)
			}
		}
	}
	return len(t.buckets) < throttleSize
}

func throttleKey(client netip.Addr) netip.Addr {
	a := plain(client)
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is always valid for IPv6
		return p.Addr()
	}
	return a
}
