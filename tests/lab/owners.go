package lab

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Owners knows which hosts of a network have an address, and when that changed, by the
// kernel's own word. Its methods may be called by several goroutines.
type Owners struct {
	addr    netip.Addr
	hosts   []*Host
	stop    chan struct{}
	workers sync.WaitGroup

	mu      sync.Mutex
	changes []change // in the order in which they became known
	err     error
}

// change is that an address came to a host, or went.
type change struct {
	at   time.Time
	host *Host
	has  bool
}

// Span is a time in which nothing changed; the hosts are in the order of the network.
type Span struct {
	From, To time.Time
	Owners   []*Host
}

// Length is how long it took.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

// Owners begins to watch an address on all hosts there are so far. The caller closes it.
func (n *Network) Owners(a netip.Addr) (*Owners, error) {
	o := &Owners{addr: a, hosts: slices.Clone(n.hosts), stop: make(chan struct{})}
	for _, h := range o.hosts {
		if err := o.watch(h); err != nil {
			o.Close()
			return nil, err
		}
	}
	return o, nil
}

// Now are the hosts that have the address.
func (o *Owners) Now() []*Host {
	spans := o.Spans(time.Now())
	return spans[len(spans)-1].Owners
}

// Spans are the times since from in which the owners were the same ones. The last one
// ends now.
func (o *Owners) Spans(from time.Time) []Span {
	o.mu.Lock()
	defer o.mu.Unlock()
	return spans(o.hosts, o.changes, from, time.Now())
}

// Err is what kept it from seeing everything, nil if nothing did.
func (o *Owners) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// Close ends watching.
func (o *Owners) Close() {
	close(o.stop)
	o.workers.Wait()
}

// saw takes a change of one host: the kernel also tells of addresses that only live
// longer.
func (o *Owners) saw(h *Host, has bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes = append(o.changes, change{time.Now(), h, has})
}

func (o *Owners) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = errors.Join(o.err, err)
}

// spans cuts the time from one moment to another at the changes that matter.
func spans(hosts []*Host, changes []change, from, to time.Time) []Span {
	var owners []*Host
	list := []Span{{From: from, To: to}}
	for _, c := range changes {
		if c.has == slices.Contains(owners, c.host) {
			continue
		}
		owners = slices.DeleteFunc(slices.Clone(hosts), func(h *Host) bool {
			return h == c.host && !c.has || h != c.host && !slices.Contains(owners, h)
		})
		last := &list[len(list)-1]
		if !c.at.After(last.From) {
			last.Owners = owners
			continue
		}
		last.To = c.at
		list = append(list, Span{From: c.at, To: to, Owners: owners})
	}
	return list
}
