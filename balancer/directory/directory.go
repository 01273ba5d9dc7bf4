package directory

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Limits of a record and of what peers send.
const (
	MaxKind    = 16       // bytes
	MaxKey     = 64       // bytes
	MaxValue   = 32 << 10 // bytes
	MaxMessage = 1 << 20  // bytes
	MaxRecords = 1 << 20  // deletions included; what would exceed it is dropped and counted
)

// Record is a small value under a name. Kind and Key are its identity. The
// records of one key should all live equally long: one that outlives a later one
// may come back after it.
type Record struct {
	Kind, Key string     // 1 to MaxKind and 1 to MaxKey bytes
	Value     []byte     // MaxValue bytes at most; the receiver of a Record owns it
	Expires   time.Time  // by the wall clock; zero: never
	Node      netip.Addr // who wrote it; set by the directory
}

// Refused is the error of Share when a peer did not accept the record.
type Refused struct {
	Node   netip.Addr
	Reason string // what Accept returned there
}

// Error names the peer and its reason.
func (r *Refused) Error() string {
	return fmt.Sprintf("node %s refuses the record: %s", r.Node, r.Reason)
}

// Carrier brings a message to the directory of another node (its Receive) and
// returns the answer. It seals both, and gives up when ctx ends. It may be
// called from many goroutines, one to four at a time for a node.
type Carrier interface {
	Send(ctx context.Context, to netip.Addr, message []byte) (answer []byte, err error)
}

// Deps is what a Directory needs of others.
type Deps struct {
	Carrier Carrier // nil: no record leaves this node
	// Accept is asked about every record of another node before it is stored
	// and acknowledged, again when it comes again. An error refuses a Share, at
	// the peer that called it. A record that was put there already is stored
	// all the same, since all nodes have to end up with the same. May be nil.
	Accept func(Record) error
	// Changed hears of records of other nodes, in the order of the changes of a
	// key: stored (gone false), or deleted or expired (gone true; Value may be
	// nil). Also of what this node wrote before a restart, when peers bring it
	// back. May be nil.
	//
	// Accept and Changed are called one at a time and hold up what comes after:
	// they may call every method but Share and Receive, and must not wait.
	Changed func(r Record, gone bool)
	Log     logrus.FieldLogger // nil: silence
}

// Directory is one node's copy. Its methods may be called from many goroutines.
type Directory struct {
	deps   Deps
	gossip membership
	now    func() time.Time

	order    sync.Mutex // one incoming record at a time, with Accept and Changed; taken before mu
	applying sync.Mutex // one Apply at a time
	mu       sync.RWMutex
	cfg      Config
	state    *state
	links    map[netip.Addr]*link
	traffic  traffic
	status   Status // own

	relinked chan struct{} // links have changed; capacity 1
}

// New returns the directory of a node alone, which starts nothing.
func New(deps Deps) *Directory {
	if deps.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		deps.Log = silent
	}
	return compose(deps, newGossip(deps.Log), newInstance(), time.Now)
}

func compose(deps Deps, g membership, instance uint64, now func() time.Time) *Directory {
	return &Directory{
		deps: deps, gossip: g, now: now, state: newState(instance), links: map[netip.Addr]*link{},
		relinked: make(chan struct{}, 1),
	}
}

// newInstance draws the name of this life of the process.
func newInstance() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}

// Put stores a record and sends it to the peers without waiting. The Value is
// copied. A record beyond the limits is dropped and counted.
func (d *Directory) Put(r Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !r.valid() || !d.state.put(r, d.now()) {
		d.traffic.dropped++
		return
	}
	d.wake()
}

// Delete removes a record everywhere; one that is not there is left alone.
func (d *Directory) Delete(kind, key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.remove(kind, key, d.now()) {
		d.wake()
	}
}

// Get returns a record that has not expired.
func (d *Directory) Get(kind, key string) (Record, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	e := d.state.get(kind, key, d.now())
	if e == nil {
		return Record{}, false
	}
	return e.record(), true
}

// All yields the records of a kind that have not expired, as they are when it is
// ranged over, in no order. The directory may be used meanwhile.
func (d *Directory) All(kind string) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		d.mu.RLock()
		found := d.state.all(kind, d.now())
		d.mu.RUnlock()
		for _, r := range found {
			if !yield(r) {
				return
			}
		}
	}
}

// wake tells every link that there is something to send; d.mu is held.
func (d *Directory) wake() {
	for _, l := range d.links {
		l.rouse()
	}
}

func (r Record) valid() bool {
	return within(len(r.Kind), MaxKind) && within(len(r.Key), MaxKey) && len(r.Value) <= MaxValue
}

func within(n, most int) bool { return n >= 1 && n <= most }
