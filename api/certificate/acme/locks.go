package acme

import (
	"context"
	"fmt"
	"sync"
)

// locks are names that one goroutine has at a time.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is given back
}

func (l *locks) take(ctx context.Context, name string) error {
	for {
		l.mu.Lock()
		free := l.held[name]
		if free == nil {
			l.held[name] = make(chan struct{})
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-free:
		}
	}
}

func (l *locks) give(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	free := l.held[name]
	if free == nil {
		return fmt.Errorf("the lock %q is not held", name)
	}
	delete(l.held, name)
	close(free)
	return nil
}
