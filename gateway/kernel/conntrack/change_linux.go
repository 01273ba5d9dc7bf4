package conntrack

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// present is the status of an entry that packets of both sides have made.
const present = SeenReply | Assured | Confirmed

// Inject makes the entries of flows that another node has served, translated and
// ESTABLISHED, with Mark, Zone and Timeout (0: five days) as given; the kernel sets the
// rest. Sequence numbers of these flows are not judged.
//
// A flow that is there already, translated in the same way, is left as it is and is no
// failure. What failed is told by flow; the error is for what keeps all from being made,
// and then some may have been.
func (t *Table) Inject(ctx context.Context, flows []Flow) ([]Failure, error) {
	failed := make([]error, len(flows))
	index, failed := sound(flows, failed, Flow.valid)
	var there []int // or something else that is in the way
	err := t.ask(ctx, request{
		count: len(index),
		batch: batchMax,
		write: func(w *writer, i int, flags uint16, sequence uint32) {
			w.create(flows[index[i]], present, flags, sequence)
		},
		failed: func(i int, errno unix.Errno) {
			failed[index[i]] = said(errno)
			if errno == unix.EEXIST {
				there = append(there, index[i])
			}
		},
	})
	if err == nil {
		err = t.resolve(ctx, flows, there, failed)
	}
	return failures(flows, failed), err
}

// resolve looks at what is in the way of flows: themselves, or others.
func (t *Table) resolve(ctx context.Context, flows []Flow, there []int, failed []error) error {
	if len(there) == 0 {
		return nil
	}
	wanted := make([]Flow, len(there))
	for k, i := range there {
		wanted[k] = flows[i]
	}
	found, missing, err := t.lookUp(ctx, wanted)
	if err != nil {
		return err
	}
	for k, i := range there {
		switch {
		case missing[k] != nil && !errors.Is(missing[k], ErrNotFound):
			failed[i] = missing[k]
		case missing[k] == nil && found[k].Same(flows[i]):
			failed[i] = nil
		default:
			failed[i] = ErrClash
		}
	}
	return nil
}

// SetMark gives flows another mark. A flow that is gone is a failure (ErrNotFound).
func (t *Table) SetMark(ctx context.Context, mark uint32, flows ...Flow) ([]Failure, error) {
	return t.change(ctx, flows, func(w *writer, f Flow, flags uint16, sequence uint32) {
		w.mark(f, mark, flags, sequence)
	})
}

// Delete ends entries: the next packet of such a connection is judged as if none had come
// before. A flow with an ID is deleted only if it is still that entry; one that is gone
// already is no failure.
func (t *Table) Delete(ctx context.Context, flows ...Flow) ([]Failure, error) {
	failed, err := t.change(ctx, flows, (*writer).remove)
	return slices.DeleteFunc(failed, func(f Failure) bool { return errors.Is(f.Err, ErrNotFound) }), err
}

// change makes one request for each flow.
func (t *Table) change(ctx context.Context, flows []Flow, write func(*writer, Flow, uint16, uint32)) ([]Failure, error) {
	failed := make([]error, len(flows))
	index, failed := sound(flows, failed, func(f Flow) error { return f.Orig.valid() })
	err := t.ask(ctx, request{
		count: len(index),
		batch: batchMax,
		write: func(w *writer, i int, flags uint16, sequence uint32) {
			write(w, flows[index[i]], flags, sequence)
		},
		failed: func(i int, errno unix.Errno) { failed[index[i]] = said(errno) },
	})
	return failures(flows, failed), err
}

func failures(flows []Flow, failed []error) []Failure {
	var all []Failure
	for i, err := range failed {
		if err != nil {
			all = append(all, Failure{flows[i], err})
		}
	}
	return all
}
