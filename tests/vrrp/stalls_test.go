package vrrp

import (
	"sync"
	"testing"
	"time"
)

const stallTurn = 5 * time.Millisecond

// stalls knows for how long this machine did not let a process run that wanted to.
type stalls struct {
	mu   sync.Mutex
	most time.Duration
}

// watchStalls looks until the test ends.
func watchStalls(t testing.TB) *stalls {
	t.Helper()
	s, stop := &stalls{}, make(chan struct{})
	var worker sync.WaitGroup
	worker.Go(func() { s.run(stop) })
	t.Cleanup(func() {
		close(stop)
		worker.Wait()
	})
	return s
}

func (s *stalls) run(stop <-chan struct{}) {
	for last := time.Now(); ; {
		select {
		case <-stop:
			return
		case <-time.After(stallTurn):
		}
		now := time.Now()
		s.mu.Lock()
		s.most = max(s.most, now.Sub(last)-stallTurn)
		s.mu.Unlock()
		last = now
	}
}

// longest is the longest time.
func (s *stalls) longest() (most time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}
