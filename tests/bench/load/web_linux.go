package load

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// webBulk receives on all WebSockets and throws away what frames carry.
func webBulk(job Job, p *parent) (Result, error) {
	var total atomic.Int64
	var suite string
	failed := make(chan error, job.Conns)
	for i := range job.Conns {
		f, used, err := upgraded(job, i)
		if err != nil {
			return Result{}, err
		}
		if _, err := f.Write([]byte{wantBulk}); err != nil {
			return Result{}, err
		}
		suite = used
		go func() { failed <- discardAll(f, &total) }()
	}
	time.Sleep(job.Warm)
	start, before := time.Now(), total.Load()
	if err := p.begin(); err != nil {
		return Result{}, err
	}
	select {
	case err := <-failed:
		return Result{}, err
	case <-time.After(job.Last):
	}
	r := Result{Time: time.Since(start), Bytes: total.Load() - before, Suite: suite}
	return r, p.end()
}

func discardAll(f *frames, total *atomic.Int64) error {
	for {
		n, err := f.discard()
		if err != nil {
			return fmt.Errorf("the stream ended early: %w", err)
		}
		total.Add(n)
	}
}

// webPing is Ping through a WebSocket.
func webPing(job Job, p *parent) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f, _, err := upgraded(job, 0)
	if err != nil {
		return Result{}, err
	}
	out, in := message(), make([]byte, messageBytes)
	for l := newLatencies(job, p); ; {
		sent := time.Now()
		if err := f.exchange(out, in); err != nil {
			return Result{}, err
		}
		if !l.add(sent, time.Now()) {
			return l.result()
		}
	}
}

// exchange sends a message and reads as many bytes.
func (f *frames) exchange(message, answer []byte) error {
	if _, err := f.Write(message); err != nil {
		return err
	}
	for got := 0; got < len(message); {
		n, err := f.Read(answer[got:len(message)])
		if err != nil {
			return fmt.Errorf("got %d bytes, want %d: %w", got, len(message), err)
		}
		got += n
	}
	return nil
}

// webHold is Hold with WebSockets.
func webHold(job Job, p *parent) (Result, error) {
	start := time.Now()
	in := make([]byte, 1)
	for i := range job.Conns {
		f, _, err := upgraded(job, i) // closed with the process
		if err == nil {
			err = f.exchange([]byte{wantEcho}, in)
		}
		if err != nil {
			return Result{}, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	if err := p.begin(); err != nil {
		return Result{}, err
	}
	p.wait()
	return Result{Time: time.Since(start), Conns: int64(job.Conns)}, nil
}
