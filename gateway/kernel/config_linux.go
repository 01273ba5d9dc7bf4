package kernel

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/gateway/relay"
)

// ErrUnable is that this host lacks what the data path takes; the rest of the error says
// what, for an operator. Sessions can be relayed instead.
var ErrUnable = errors.New("the kernel data path cannot be used here")

// Owner decides about flows and accounts for them. One goroutine calls it, in the order in
// which things happen to a flow, and holds no lock: it may call the Kernel, and must not
// block.
type Owner interface {
	// Opened tells of a flow that a grant has let through; false ends it, and then
	// nothing more is told of it. Adopted and injected flows are told of as well.
	Opened(f *Flow) bool
	// Joined tells that the VM has answered.
	Joined(f *Flow)
	// Ended tells that a flow has ended; its Err is set when it was never joined.
	Ended(f *Flow, r relay.Result)
}

// Directory has the other nodes know the flows that live here. Its methods must not wait.
// A flow that another node has told of later is that node's: Forget has no effect on it.
type Directory interface {
	Spread(r Record)
	Forget(id string)
}

// alone is the directory of a node that has no others.
type alone struct{}

func (alone) Spread(Record) {}
func (alone) Forget(string) {}

// Deps are what a Kernel needs of others. Only Owner is required.
type Deps struct {
	Owner     Owner
	Directory Directory // nil: there is no other node
	// Within calls what acts on the network namespace; nil: that of the process.
	Within func(func() error) error
	Log    logrus.FieldLogger // nil: silence
}

// Config is all that the data path shall be, apart from grants.
type Config struct {
	// Enabled lets new flows begin. Without it flows that live go on, and the table goes
	// with the last one.
	Enabled bool
	// Resident: the virtual addresses are this node's for good, and what their flows are
	// its own. Otherwise they are between Inject and Withdraw; what is found before may be
	// another node's by now.
	Resident bool
	// Former: a former process may have left a table. Without Enabled it is looked for only
	// then, since it may be that of another gateway on this host.
	Former bool
	Rules  rules.Config
	// Dial is what a VM has to answer a SYN; 0: what the kernel gives it, two minutes.
	Dial time.Duration
	// HalfClose ends a flow of which one side has finished and that carried nothing for so
	// long; 0: never.
	HalfClose time.Duration
	// Poll is how often counters are read, and so how exact Stats are; 0: 5 s.
	Poll time.Duration
}

// Grant lets flows of one client to one port of the virtual address through to a VM. With
// the zero VM it is relayed: a socket of this host serves the client, and has no flows.
type Grant struct {
	Client netip.Addr
	Port   uint16
	VM     netip.AddrPort
	Limit  int // flows at a time; 0 is any number, and what a relayed grant has
}

func (g Grant) key() netip.AddrPort { return netip.AddrPortFrom(g.Client, g.Port) }

// check refuses what rules would: one bad grant must not keep others from being told.
func (g Grant) check() error {
	return rules.Grant(g).Check()
}

// granted is a grant and the flows that live by it, the oldest first.
type granted struct {
	Grant
	class int // the limit that rules have; 0 with a Limit: none may begin
	flows []*Flow
	left  bool // nobody has asked for it: it is that of flows a former process has left
}

// wanted is the limit that rules should have.
func (g *granted) wanted() int {
	living, spare := 0, 0
	for _, f := range g.flows {
		if f.life.doomed == "" {
			living++
			if f.replaceable {
				spare++
			}
		}
	}
	return class(g.class, g.Limit-living+spare, func(limit int) int {
		n := 0
		for _, f := range g.flows {
			if f.class == limit {
				n++
			}
		}
		return n
	})
}

// admit finds room for one more flow: whom it replaces, or that there is none.
func (g *granted) admit() (victim *Flow, ok bool) {
	living := 0
	for _, f := range g.flows {
		if f.life.doomed == "" {
			living++
		}
	}
	if g.Limit == 0 || living < g.Limit {
		return nil, true
	}
	i := slices.IndexFunc(g.flows, func(f *Flow) bool { return f.replaceable && f.life.doomed == "" })
	if i < 0 {
		return nil, false
	}
	return g.flows[i], true
}
