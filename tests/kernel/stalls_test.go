package kernel

import (
	"sync"
	"testing"
	"time"
)

// stalls notices when this process is not let run: then it hears nothing either.
type stalls struct {
	mu    sync.Mutex
	worst time.Duration
}

func watchStalls(t testing.TB) *stalls {
	t.Helper()
	const nap = 5 * time.Millisecond
	s := &stalls{}
	done := make(chan struct{})
	var all sync.WaitGroup
	t.Cleanup(func() { close(done); all.Wait() })
	all.Go(func() {
		for last := time.Now(); ; {
			select {
			case <-done:
				return
			case <-time.After(nap):
			}
			now := time.Now()
			s.mu.Lock()
			s.worst = max(s.worst, now.Sub(last)-nap)
			s.mu.Unlock()
			last = now
		}
	})
	return s
}

// longest is the longest time since the last call.
func (s *stalls) longest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	worst := s.worst
	s.worst = 0
	return worst
}
