package settingsdb

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// AuditConfig tunes an [Audit]; zero values mean the defaults named here.
type AuditConfig struct {
	// MaxAge is how long rows are kept: 90 days.
	MaxAge time.Duration
	// MaxRows is how many rows are kept: 1,000,000.
	MaxRows int
	// Queue is how many rows wait in memory at most: 16384.
	Queue int
	// Linger is how long the first row of a group waits for others, so that
	// sessions that come and go together share one commit: 20 ms.
	Linger time.Duration
	// Flush bounds what is done after Run's context has ended: 2 s.
	Flush time.Duration
	// Sweep is how often age and number of rows are checked: one minute.
	Sweep time.Duration
}

func (c AuditConfig) withDefaults() AuditConfig {
	orDuration := func(value *time.Duration, otherwise time.Duration) {
		if *value <= 0 {
			*value = otherwise
		}
	}
	orDuration(&c.MaxAge, 90*24*time.Hour)
	orDuration(&c.Linger, 20*time.Millisecond)
	orDuration(&c.Flush, 2*time.Second)
	orDuration(&c.Sweep, time.Minute)
	if c.MaxRows <= 0 {
		c.MaxRows = 1_000_000
	}
	if c.Queue <= 0 {
		c.Queue = 16384
	}
	return c
}

const (
	// groupRows bounds one transaction to some ten milliseconds, since a
	// settings change may be waiting for the writing connection.
	groupRows = 1024
	// Failed writes are tried again after firstRetry, then twice that and so
	// on up to lastRetry.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	// logEvery bounds how often a lasting failure is logged.
	logEvery = 30 * time.Second
)

// Audit writes rows in groups behind the back of the sessions: [Audit.Write]
// only queues, [Audit.Run] commits. A row is durable some 20 ms after it was
// written; when the database cannot be written, rows wait in the queue, and
// those that find it full are counted as dropped.
type Audit struct {
	store *Store
	cfg   AuditConfig
	log   logrus.FieldLogger
	queue chan AuditRow

	dropped atomic.Int64
	ended   atomic.Bool
	failure atomic.Pointer[error]

	// Only Run's goroutine.
	group    []AuditRow
	loggedAt time.Time
}

// NewAudit returns an audit writer on an open store, which has to outlive Run.
func NewAudit(store *Store, cfg AuditConfig, log logrus.FieldLogger) *Audit {
	cfg = cfg.withDefaults()
	return &Audit{store: store, cfg: cfg, log: log, queue: make(chan AuditRow, cfg.Queue)}
}

// Write queues a row. It never waits: a row that finds the queue full, or Run
// ended, is counted in [Audit.Dropped].
func (a *Audit) Write(row AuditRow) {
	if a.ended.Load() {
		a.dropped.Add(1)
		return
	}
	select {
	case a.queue <- row:
	default:
		a.dropped.Add(1)
	}
}

// Dropped returns how many rows were lost since New.
func (a *Audit) Dropped() int64 { return a.dropped.Load() }

// Err returns why the last attempt to write failed, nil when it succeeded.
func (a *Audit) Err() error {
	if err := a.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Run commits rows and enforces the retention until ctx ends; then it writes
// what is queued, for at most the Flush time, and returns nil.
func (a *Audit) Run(ctx context.Context) error {
	sweep := time.NewTicker(a.cfg.Sweep)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			a.flush(context.WithoutCancel(ctx))
			return nil
		case row := <-a.queue:
			a.group = append(a.group, row)
			a.gather(ctx)
			a.commit(ctx)
		case <-sweep.C:
			a.sweep(ctx)
		}
	}
}

// gather waits for rows to share the commit, until the group is full or the
// first row has lingered long enough.
func (a *Audit) gather(ctx context.Context) {
	linger := time.NewTimer(a.cfg.Linger)
	defer linger.Stop()
	for len(a.group) < groupRows {
		select {
		case row := <-a.queue:
			a.group = append(a.group, row)
		case <-linger.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// commit writes the group, again and again until it succeeds or ctx ends; the
// queue fills meanwhile.
func (a *Audit) commit(ctx context.Context) {
	for wait := firstRetry; len(a.group) > 0; wait = min(2*wait, lastRetry) {
		if a.try(ctx) == nil || !pause(ctx, wait) {
			return
		}
	}
}

// try writes the group once and empties it on success.
func (a *Audit) try(ctx context.Context) error {
	err := a.store.putAudit(ctx, a.group)
	if err == nil {
		a.group = a.group[:0]
		a.succeeded()
		return nil
	}
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		a.failed(err)
	}
	return err
}

func (a *Audit) succeeded() {
	if a.failure.Swap(nil) == nil {
		return
	}
	a.loggedAt = time.Time{}
	a.log.WithField("dropped", a.Dropped()).Info("audit rows are written again")
}

func (a *Audit) failed(err error) {
	a.failure.Store(&err)
	if now := time.Now(); now.Sub(a.loggedAt) >= logEvery {
		a.loggedAt = now
		a.log.WithError(err).WithField("dropped", a.Dropped()).Error("audit rows cannot be written and wait")
	}
}

// flush writes what is left at the end and counts as dropped what it cannot.
func (a *Audit) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Flush)
	defer cancel()
	a.ended.Store(true)
	for ctx.Err() == nil {
		a.drain()
		if len(a.group) == 0 {
			return
		}
		a.commit(ctx)
	}
	lost := int64(len(a.group) + len(a.queue))
	a.dropped.Add(lost)
	a.log.WithField("dropped", lost).Error("audit rows were lost at the end")
}

// drain moves queued rows into the group without waiting.
func (a *Audit) drain() {
	for len(a.group) < groupRows && len(a.queue) > 0 {
		a.group = append(a.group, <-a.queue)
	}
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
