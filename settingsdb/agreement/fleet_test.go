package agreement

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// fleet is nodes in one process, between which messages get lost.
type fleet struct {
	t     testing.TB
	addrs []netip.Addr

	mu    sync.Mutex
	rnd   *rand.Rand
	nodes map[netip.Addr]*member // running
	disks map[netip.Addr]*disk
	side  map[netip.Addr]int // of a partition
	loss  float64
}

// disk is what outlives a crash of a node.
type disk struct {
	current    Revision
	history    map[int64]Hash // in force at some time
	superseded []int64
	next       int64
}

// member is one life of a node.
type member struct {
	*Agreement
	fleet *fleet
	own   netip.Addr
	stop  context.CancelFunc

	mu      sync.Mutex
	disk    *disk
	trying  *Revision
	refuse  string // why Check says no
	fail    string // why Apply says no
	commits bool   // that Commit fails
	dead    bool   // nothing is written any more
}

func newFleet(t testing.TB, size int, seed uint64) *fleet {
	f := &fleet{
		t: t, rnd: rand.New(rand.NewPCG(seed, 2)), nodes: map[netip.Addr]*member{}, disks: map[netip.Addr]*disk{},
		side: map[netip.Addr]int{},
	}
	first := Revision{Number: 1, Document: []byte("first"), Author: "test", At: time.Now()}
	for i := range size {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		f.addrs = append(f.addrs, a)
		f.disks[a] = &disk{current: first, history: map[int64]Hash{1: first.Hash()}, next: 2}
	}
	for i := range size {
		f.start(i)
	}
	return f
}

// start brings a node up with what is on its disk.
func (f *fleet) start(i int) *member {
	log := logrus.New()
	log.SetOutput(io.Discard)
	m := &member{fleet: f, own: f.addrs[i], disk: f.disks[f.addrs[i]]}
	m.Agreement = New(func() netip.Addr { return m.own }, m, m, time.Now, log)
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	f.mu.Lock()
	f.nodes[m.own] = m
	f.mu.Unlock()
	go func() { _ = m.Run(ctx) }()
	return m
}

// crash ends a node: what it was about to write is lost.
func (f *fleet) crash(i int) {
	f.mu.Lock()
	m := f.nodes[f.addrs[i]]
	delete(f.nodes, f.addrs[i])
	f.mu.Unlock()
	if m == nil {
		return
	}
	m.mu.Lock()
	m.dead = true
	m.mu.Unlock()
	m.stop()
}

// end lets all that is under way come to its end.
func (f *fleet) end() {
	for i := range f.addrs {
		f.crash(i)
	}
	time.Sleep(time.Minute)
}

func (f *fleet) node(i int) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[f.addrs[i]]
}

// reaches tells whether a message gets from one node to the other.
func (f *fleet) reaches(from, to netip.Addr) (m *member, arrives, answered bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m = f.nodes[to]
	arrives = m != nil && f.nodes[from] != nil && f.side[from] == f.side[to]
	return m, arrives && f.rnd.Float64() >= f.loss, f.rnd.Float64() >= f.loss
}

// Living are the running nodes of this one's side.
func (m *member) Living() []netip.Addr {
	m.fleet.mu.Lock()
	defer m.fleet.mu.Unlock()
	var list []netip.Addr
	for _, a := range m.fleet.addrs {
		if m.fleet.nodes[a] != nil && m.fleet.side[a] == m.fleet.side[m.own] {
			list = append(list, a)
		}
	}
	return list
}

var errLost = errors.New("no answer")

// Call brings a message to another node, or loses it or its answer.
func (m *member) Call(ctx context.Context, to netip.Addr, b []byte) ([]byte, error) {
	other, arrives, answered := m.fleet.reaches(m.own, to)
	if !arrives {
		<-ctx.Done()
		return nil, errLost
	}
	time.Sleep(time.Millisecond)
	got, err := other.Receive(ctx, m.own, b)
	if _, back, _ := m.fleet.reaches(to, m.own); !back || !answered {
		<-ctx.Done()
		return nil, errLost
	}
	return got, err
}

func (m *member) Current() Revision {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.disk.current
}

func (m *member) Known(_ context.Context, number int64, hash Hash) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.disk.history[number] == hash && !slices.Contains(m.disk.superseded, number)
}

func (m *member) Next(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.disk.next, nil
}

func (m *member) Check(context.Context, []byte, bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != "" {
		return nil, errors.New(m.refuse)
	}
	return []string{"session of " + m.own.String()}, nil
}

func (m *member) Apply(_ context.Context, r Revision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.dead:
		return errLost
	case m.trying != nil:
		m.fleet.t.Errorf("%s: revision %d is tried while %d is", m.own, r.Number, m.trying.Number)
	case m.fail != "":
		return errors.New(m.fail)
	case r.Number <= m.disk.current.Number:
		return fmt.Errorf("revision %d is in force", m.disk.current.Number)
	}
	m.trying = &r
	m.disk.next = max(m.disk.next, r.Number+1)
	return nil
}

func (m *member) Commit(_ context.Context, r Revision, superseded bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.dead:
		return errLost
	case m.commits:
		return errors.New("the disk is full")
	case m.trying == nil || m.trying.Number != r.Number:
		m.fleet.t.Errorf("%s: revision %d is put in force, which was not tried", m.own, r.Number)
	}
	if superseded {
		m.disk.superseded = append(m.disk.superseded, m.disk.current.Number)
	}
	m.trying, m.disk.current = nil, r
	m.disk.history[r.Number] = r.Hash()
	return nil
}

func (m *member) Undo(_ context.Context, r Revision, _ string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.trying != nil && m.trying.Number != r.Number {
		m.fleet.t.Errorf("%s: revision %d is undone, %d was tried", m.own, r.Number, m.trying.Number)
	}
	m.trying = nil
}

func (m *member) Confirm(_ context.Context, number int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dead && m.disk.current.Number == number {
		m.disk.current.RollbackAt = nil
	}
	return nil
}

// change asks node i for a change.
func (f *fleet) change(i int, document string) (Outcome, error) {
	return f.node(i).Change(context.Background(), Request{Document: []byte(document), Author: "test"})
}

// agreed checks that all running nodes have the same in force, and returns it.
func (f *fleet) agreed() Revision {
	f.t.Helper()
	var common Revision
	for i, a := range f.addrs {
		m := f.node(i)
		if m == nil {
			continue
		}
		r := m.Current()
		if common.Number == 0 {
			common = r
		}
		if r.Number != common.Number || r.Hash() != common.Hash() {
			f.t.Errorf("%s has revision %d %q, another node %d %q", a, r.Number, r.Document, common.Number, common.Document)
		}
		m.mu.Lock()
		if m.trying != nil {
			f.t.Errorf("%s still tries revision %d", a, m.trying.Number)
		}
		m.mu.Unlock()
	}
	return common
}
