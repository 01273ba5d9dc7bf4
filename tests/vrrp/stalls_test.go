package vrrp

import (
	"sync"
	"testing"
	"time"
)

const (
	stallTurn = 5 * time.Millisecond
	// stallLeast is what any machine is late.
	stallLeast = 3 * time.Millisecond
)

// stalls knows when this machine did not let a process run that wanted to.
type stalls struct {
	mu   sync.Mutex
	list []stall
}

type stall struct {
	end    time.Time
	length time.Duration
}

// watchStalls looks until the test ends.
func watchStalls(t *testing.T) *stalls {
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
		if late := now.Sub(last) - stallTurn; late >= stallLeast {
			s.mu.Lock()
			s.list = append(s.list, stall{now, late})
			s.mu.Unlock()
		}
		last = now
	}
}

// within is how long the machine stood still in all between two moments: time that
// nobody had. One process after the other may have lost it.
func (s *stalls) within(from, to time.Time) (sum time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		if one.end.After(from) && !one.end.Add(-one.length).After(to) {
			sum += one.length
		}
	}
	return sum
}
