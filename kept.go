package main

import (
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// keptRetry is the pause after rows could not be written.
const keptRetry = time.Second

// kept writes down the connections whose sessions outlive this process, since the kernel
// carries them: the next one finds their flows and has to know whose they are. It
// writes behind: what was told in the last moment before a crash may be missing.
type kept struct {
	db   *settingsdb.Store
	log  logrus.FieldLogger
	wake chan struct{} // capacity 1

	mu      sync.Mutex
	pending map[string]settingsdb.KeptRow
	known   map[string]bool // are written down, or will be
}

func newKept(db *settingsdb.Store, log logrus.FieldLogger) *kept {
	return &kept{db: db, log: log, wake: make(chan struct{}, 1), pending: map[string]settingsdb.KeptRow{}, known: map[string]bool{}}
}

// note has a connection written down, if its session can outlive the process.
func (k *kept) note(r gateway.Record) {
	if !r.Lasting {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[string(r.ID)] = true
	k.put(settingsdb.KeptRow{ID: string(r.ID), Value: r.Value, ExpiresAt: r.Expires})
}

// drop has one forgotten that has ended, or is another node's.
func (k *kept) drop(id gateway.ConnectionID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known[string(id)] {
		delete(k.known, string(id))
		k.put(settingsdb.KeptRow{ID: string(id)})
	}
}

func (k *kept) put(r settingsdb.KeptRow) {
	k.pending[r.ID] = r
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx is done. A stop on purpose ends all sessions, so that nothing is
// left to know then.
func (k *kept) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return k.forget()
		case <-k.wake:
		}
		if !k.write() {
			select { // the disk may be full
			case <-ctx.Done():
			case <-time.After(keptRetry):
			}
		}
	}
}

// write tells whether all is written that was noted before.
func (k *kept) write() bool {
	k.mu.Lock()
	batch := k.pending
	k.pending = map[string]settingsdb.KeptRow{}
	k.mu.Unlock()
	rows := make([]settingsdb.KeptRow, 0, len(batch))
	for _, r := range batch {
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), dbTime)
	defer cancel()
	err := k.db.Keep(ctx, rows)
	if err == nil {
		return true
	}
	k.log.WithError(err).Warn("connections cannot be written down: after a crash their sessions would be lost")
	k.again(batch)
	return false
}

// again puts rows back that could not be written, but for newer ones.
func (k *kept) again(batch map[string]settingsdb.KeptRow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, r := range batch {
		if _, newer := k.pending[id]; !newer {
			k.put(r)
		}
	}
}

func (k *kept) forget() error {
	ctx, cancel := context.WithTimeout(context.Background(), dbTime)
	defer cancel()
	return k.db.ForgetKept(ctx)
}

// load returns what the process before has left.
func (k *kept) load(ctx context.Context, now time.Time) ([]gateway.Record, error) {
	rows, err := k.db.Kept(ctx, now)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var records []gateway.Record
	for _, r := range rows {
		k.known[r.ID] = true
		records = append(records, gateway.Record{ID: gateway.ConnectionID(r.ID), Value: r.Value, Expires: r.ExpiresAt, Lasting: true})
	}
	return records, nil
}
