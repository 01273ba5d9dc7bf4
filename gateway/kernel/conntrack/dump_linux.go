package conntrack

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// dumpTries is how often a dump is begun that the kernel says it could not keep whole.
const dumpTries = 10

var errInterrupted = errors.New("the table changed while it was read")

// Dump lists the flows that a filter chooses, in no order. While the table changes, a flow
// that is there all the time is listed, at least once. Only TCP is listed.
func (t *Table) Dump(ctx context.Context, filter Filter) ([]Flow, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd < 0 {
		return nil, unix.EBADF
	}
	var err error
	for range dumpTries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var flows []Flow
		flows, err = t.dump(filter)
		if err == nil {
			return flows, nil
		}
		if !errors.Is(err, errInterrupted) && !errors.Is(err, unix.ENOBUFS) {
			break
		}
	}
	return nil, fmt.Errorf("list the flows: %w", err)
}

func (t *Table) dump(filter Filter) ([]Flow, error) {
	t.sequence++
	t.out.buf = t.out.buf[:0]
	t.out.dump(filter, t.sequence)
	if err := t.send(); err != nil {
		return nil, err
	}
	l := listing{filter: filter, sequence: t.sequence}
	err := t.answers(l.take)
	if err == nil && l.interrupted {
		err = errInterrupted
	}
	return l.flows, err
}

// listing is a dump that comes in.
type listing struct {
	filter      Filter
	sequence    uint32
	flows       []Flow
	interrupted bool
}

// take takes one message; done is true when it was the last.
func (l *listing) take(m message) (done bool, err error) {
	if m.sequence != l.sequence {
		return false, nil
	}
	l.interrupted = l.interrupted || m.flags&flagIntr != 0
	if m.kind != msgNew {
		return ended(m)
	}
	f, ours, err := parseFlow(m.body)
	if ours && l.filter.fits(f) { // older kernels know no filter by mask
		l.flows = append(l.flows, f)
	}
	return false, err
}

// ended judges a message of a dump that is no entry.
func ended(m message) (done bool, err error) {
	if m.kind != typeDone && m.kind != typeError {
		return false, nil
	}
	code, err := m.code()
	if err == nil && code != 0 {
		err = said(unix.Errno(-code))
	}
	return true, err
}

// Get tells what is known of a flow now, with its counters. It looks for Orig and Zone;
// the error is ErrNotFound when there is no such entry.
func (t *Table) Get(ctx context.Context, f Flow) (Flow, error) {
	found, failed, err := t.lookUp(ctx, []Flow{f})
	switch {
	case err != nil:
		return Flow{}, err
	case failed[0] != nil:
		return Flow{}, Failure{f, failed[0]}
	}
	return found[0], nil
}

// lookUp is Get for many: what was found, or else why not, by index.
func (t *Table) lookUp(ctx context.Context, flows []Flow) (found []Flow, failed []error, err error) {
	found, failed = make([]Flow, len(flows)), make([]error, len(flows))
	index, failed := sound(flows, failed, func(f Flow) error { return f.Orig.valid() })
	err = t.ask(ctx, request{
		count: len(index),
		batch: getMax,
		write: func(w *writer, i int, flags uint16, sequence uint32) {
			w.get(flows[index[i]], flags, sequence)
		},
		failed: func(i int, errno unix.Errno) { failed[index[i]] = said(errno) },
		entry:  func(i int, f Flow) { found[index[i]] = f },
	})
	return found, failed, err
}

// sound are the indexes of the flows that can be asked for; failed takes what the others
// lack.
func sound(flows []Flow, failed []error, valid func(Flow) error) ([]int, []error) {
	index := make([]int, 0, len(flows))
	for i, f := range flows {
		if failed[i] = valid(f); failed[i] == nil {
			index = append(index, i)
		}
	}
	return index, failed
}

// said is an error of the kernel in words of this package.
func said(errno unix.Errno) error {
	switch errno {
	case unix.ENOENT:
		return ErrNotFound
	case unix.EPERM, unix.EACCES:
		return fmt.Errorf("%w (it takes CAP_NET_ADMIN): %w", ErrNotPermitted, errno)
	case unix.ENOMEM:
		return fmt.Errorf("the table is full (net.netfilter.nf_conntrack_max): %w", errno)
	}
	return errno
}
