package kernel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// end is one side of a session: a socket, what it says and what it hears.
type end struct {
	name  string
	conn  *net.TCPConn
	talks bool          // by itself
	done  chan struct{} // closed when it has heard all

	stopping sync.Once
	stop     chan struct{} // closed: say the last words
	over     chan struct{} // closed when those are said

	mu      sync.Mutex
	out, in stream
	last    time.Time // when it heard something
	pause   time.Duration
	since   time.Time // when that pause began
	ending  bool      // the end of the stream is what comes now
	err     error     // why it is lost
}

func newEnd(name string, conn *net.TCPConn, talks bool, out, in stream) *end {
	e := &end{
		name: name, conn: conn, talks: talks, out: out, in: in, last: time.Now(),
		done: make(chan struct{}), stop: make(chan struct{}), over: make(chan struct{}),
	}
	go e.listen()
	go e.talk()
	return e
}

// talk says a word now and then, and at the end the last ones.
func (e *end) talk() {
	defer close(e.over)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	if !e.talks {
		tick.Stop()
	}
	for {
		select {
		case <-tick.C:
			if !e.say() {
				return
			}
		case <-e.stop:
			if e.say() {
				if err := e.conn.CloseWrite(); err != nil {
					e.fail(err)
				}
			}
			return
		}
	}
}

// say says a word.
func (e *end) say() bool {
	e.mu.Lock()
	word := e.out.next(words)
	e.mu.Unlock()
	_, err := e.conn.Write(word)
	if err != nil {
		e.fail(err)
	}
	return err == nil
}

// listen hears until the other side has finished.
func (e *end) listen() {
	defer close(e.done)
	b := make([]byte, 4096)
	for {
		n, err := e.conn.Read(b)
		if n > 0 {
			err = errors.Join(err, e.heard(b[:n]))
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && e.mayEnd():
			return
		default:
			e.fail(err)
			return
		}
	}
}

func (e *end) heard(b []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if gap := now.Sub(e.last); gap > e.pause {
		e.pause, e.since = gap, e.last
	}
	e.last = now
	return e.in.heard(b)
}

// fail notes why it is lost; the first reason counts.
func (e *end) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = fmt.Errorf("%s at %s: %w", e.name, time.Now().UTC().Format("15:04:05.000"), err)
	}
}

// lost is why.
func (e *end) lost() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// count is how much it has said and heard.
func (e *end) count() (said, heard int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.out.at, e.in.at
}

// heardSince tells whether it heard anything after a moment.
func (e *end) heardSince(t time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last.After(t)
}

// longest is the longest pause since the last call of it; one that lasts counts.
func (e *end) longest() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	pause := max(e.pause, time.Since(e.last))
	e.pause = 0
	return pause
}

func (e *end) mayEnd() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ending
}

// finish has it say its last words; the other side does so, too.
func (e *end) finish() {
	e.mu.Lock()
	e.ending = true
	e.mu.Unlock()
	e.stopping.Do(func() { close(e.stop) })
}

// gone waits until it has noticed that the session was ended by somebody else.
func (e *end) gone(within time.Duration) error {
	select {
	case <-e.done:
		return nil
	case <-time.After(within):
		return fmt.Errorf("%s: after %s it does not know that the session has ended", e.name, within)
	}
}

// close ends it without a word.
func (e *end) close() {
	_ = e.conn.Close()
	e.stopping.Do(func() { close(e.stop) })
	<-e.over
	<-e.done
}
