package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A WebSocket has no half-close, so its checked streams end by their length: the
// server says then what it thinks, in one more byte.
const (
	wholeGood = '+'
	wholeBad  = '-'
)

// Sizes of the first stream of a check: long enough to be carried as bulk is.
const (
	longUp   = 8 << 20
	longDown = 64 << 20
)

// wholePlan is a plan in which both directions are carried to their end.
func wholePlan(number uint64) plan {
	p := newPlan(number)
	p.end = orderly
	if uint32(number) == 0 {
		p.up, p.down = longUp, longDown
	}
	return p
}

// pour sends one direction in pieces, some of them too long for a short frame.
func (p plan) pour(w io.Writer, up bool) error {
	size, r := p.down, rand.New(rand.NewPCG(p.number, 1)) //nolint:gosec // pieces and pauses
	if up {
		size, r = p.up, rand.New(rand.NewPCG(p.number, 2)) //nolint:gosec // as above
	}
	left := io.LimitReader(p.bytesOf(up), size)
	for buf := make([]byte, 128<<10); ; {
		n, _ := left.Read(buf[:1+r.IntN(1<<r.IntN(18))]) // EOF only
		if n == 0 {
			return nil
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if size < longUp {
			pause(r)
		}
	}
}

// expect compares what arrives of one direction, to its last byte.
func (p plan) expect(from io.Reader, up bool) error {
	size := p.down
	if up {
		size = p.up
	}
	want, got, expected := p.bytesOf(up), make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := from.Read(got[:min(int64(len(got)), size-at)])
		if err != nil {
			return fmt.Errorf("%d of %d bytes arrived, then %w", at, size, err)
		}
		_, _ = want.Read(expected[:n]) // never fails
		if !bytes.Equal(got[:n], expected[:n]) {
			return fmt.Errorf("bytes %d to %d are not those that were sent", at, at+int64(n))
		}
		at += int64(n)
	}
	return nil
}

// both sends one direction and expects the other at the same time.
func (p plan) both(conn io.ReadWriter, client bool) error {
	sent := make(chan error, 1)
	go func() { sent <- p.pour(conn, client) }()
	received := p.expect(conn, !client)
	return errors.Join(received, <-sent)
}

// whole runs the server's side of a checked connection that ends by its length.
func whole(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(streamTime))
	var number [8]byte
	if _, err := io.ReadFull(conn, number[:]); err != nil {
		return // the client misses the rest
	}
	verdict := byte(wholeGood)
	if wholePlan(binary.BigEndian.Uint64(number[:])).both(conn, false) != nil {
		verdict = wholeBad
	}
	_, _ = conn.Write([]byte{verdict})
	_, _ = io.Copy(io.Discard, conn) // until the client has seen it
}

// webCheck carries checked streams on all WebSockets at once.
func webCheck(job Job, _ *parent) (Result, error) {
	start := time.Now()
	var total int64
	var all sync.WaitGroup
	errs := make([]error, job.Conns)
	for i := range job.Conns {
		p := wholePlan(job.Seed<<32 + uint64(i))
		total += p.up + p.down
		all.Go(func() {
			if err := webStream(job, i, p); err != nil {
				errs[i] = fmt.Errorf("connection %+v: %w", p, err)
			}
		})
	}
	all.Wait()
	return Result{Time: time.Since(start), Conns: int64(job.Conns), Bytes: total}, errors.Join(errs...)
}

func webStream(job Job, i int, p plan) error {
	f, _, err := upgraded(job, i)
	if err != nil {
		return err
	}
	if _, err := f.Write(binary.BigEndian.AppendUint64([]byte{wantWhole}, p.number)); err != nil {
		return err
	}
	if err := p.both(f, true); err != nil {
		return err
	}
	verdict := make([]byte, 1)
	if _, err := f.Read(verdict); err != nil {
		return fmt.Errorf("read the server's verdict: %w", err)
	}
	if verdict[0] != wholeGood {
		return errors.New("the server did not get what was sent")
	}
	return nil
}
