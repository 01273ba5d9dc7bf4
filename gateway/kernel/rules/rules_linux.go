package rules

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Rules is the table. There is one in a network namespace; its methods may be called
// by several goroutines, and act in the namespace of the thread that calls.
type Rules struct {
	mu      sync.Mutex
	cfg     *Config                  // applied last; nil before
	grants  map[netip.AddrPort]Grant // as far as we know; nil before the kernel was asked
	classes []class                  // that the kernel has, in order
	line    line
}

// New makes the owner of the table and touches nothing.
func New() *Rules { return &Rules{} }

// errNotApplied answers changes of grants before there is a table to put them in.
var errNotApplied = errors.New("there is no table yet: Apply comes first")

// Adopt takes over what a former process has left, and tells its grants, in order. No
// table is no grants.
func (r *Rules) Adopt() ([]Grant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := read()
	if err != nil {
		return nil, err
	}
	r.take(p)
	return sorted(r.grants), nil
}

// take believes the kernel. Only what it has lost as a whole is remembered, to be put
// back.
func (r *Rules) take(p *present) {
	if p.exists || r.grants == nil {
		r.grants = p.grants
	}
	r.classes = p.classes
}

// Apply makes the table what cfg says, keeps the grants, and adds some: they are there
// when the first packet is judged by it. A table that is so already is left as it is. One
// of another layout is replaced in one transaction; flows notice nothing of either. An
// error means that rules are as before.
func (r *Rules) Apply(cfg Config, grants ...Grant) error {
	more, err := indexed(grants)
	if err = errors.Join(cfg.check(), err); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.apply(cfg.clone(), more)
}

func (r *Rules) apply(cfg *Config, more map[netip.AddrPort]Grant) error {
	p, err := read()
	if err != nil {
		return err
	}
	r.take(p)
	l := layoutOf(cfg, r.classes)
	switch {
	case p.version == version && slices.Equal(p.objects, l.objects()):
		err = r.edit(more)
	case p.version == version && l.covers(p.objects) && r.renew(cfg, more) == nil:
	default:
		err = r.replace(p, cfg, more)
	}
	if err == nil {
		r.cfg = cfg
	}
	return err
}

// renew puts the rules of a config in the place of others.
func (r *Rules) renew(cfg *Config, more map[netip.AddrPort]Grant) error {
	if err := r.edit(more); err != nil {
		return err
	}
	return commit(flush, layoutOf(cfg, r.classes).renewed())
}

// replace makes the table from nothing, with the grants that are known, and more.
func (r *Rules) replace(p *present, cfg *Config, more map[netip.AddrPort]Grant) error {
	all := maps.Clone(r.grants)
	maps.Copy(all, more)
	grants := sorted(all)
	classes := classesOf(grants)
	l := layoutOf(cfg, classes)
	var ops []operation
	if p.exists {
		ops = append(ops, operation{"the table of another layout", deleteTable})
	}
	ops = append(ops, operation{"table " + tableName, func(c *nftables.Conn) error { c.AddTable(table()); return nil }})
	ops = append(ops, l.made()...)
	err := commit(flush, append(ops, added(grants)...))
	if errors.Is(err, unix.EMSGSIZE) { // see commitParts
		if err = commit(flush, ops); err == nil {
			err = commitParts(flush, added(grants))
		}
	}
	if err == nil {
		r.grants, r.classes = all, classes
	}
	return err
}

// Delete takes the table away, if there is one. With the last table that translates
// addresses the kernel ceases to do so: then flows that live are reset at their next
// packet. So this is for whoever gives the data path up, not for a restart.
func (r *Rules) Delete() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := read()
	if err != nil {
		return err
	}
	if p.exists {
		err = commit(flush, []operation{{"table " + tableName, deleteTable}})
	}
	if err == nil {
		r.cfg, r.grants, r.classes = nil, nil, nil
	}
	return err
}

func deleteTable(c *nftables.Conn) error {
	c.DelTable(table())
	return nil
}

// made is the operations that make the layout's objects; those that exist stay.
func (l layout) made() []operation {
	var ops []operation
	for _, name := range counterNames {
		ops = append(ops, operation{"counter " + name, func(c *nftables.Conn) error {
			c.AddObj(&nftables.CounterObj{Table: table(), Name: name})
			return nil
		}})
	}
	for _, ch := range l.chains {
		ops = append(ops, operation{"chain " + ch.name, func(c *nftables.Conn) error { c.AddChain(ch.nft()); return nil }})
	}
	for _, s := range l.sets {
		ops = append(ops, operation{"set " + s.Name, func(c *nftables.Conn) error { return c.AddSet(s, nil) }})
		ops = append(ops, elements(s, "addresses", l.elements[s.Name], (*nftables.Conn).SetAddElements)...)
	}
	for _, r := range l.rules {
		ops = append(ops, r.made())
	}
	return ops
}

// covers tells whether the layout has all of the objects, rules aside: those are put in
// the place of others, while a chain or set that is not ours would stay.
func (l layout) covers(objects []string) bool {
	own := l.objects()
	return !slices.ContainsFunc(objects, func(o string) bool {
		return !strings.HasPrefix(o, rulePrefix) && !slices.Contains(own, o)
	})
}

// renewed is the operations that put the layout's rules and ranges in the place of
// others. What the kernel counts of clients stays, and so do grants.
func (l layout) renewed() []operation {
	ops := []operation{{"the rules there are", func(c *nftables.Conn) error { c.FlushTable(table()); return nil }}}
	for _, s := range l.sets {
		if _, ours := l.elements[s.Name]; ours {
			ops = append(ops,
				operation{"set " + s.Name, func(c *nftables.Conn) error { return c.AddSet(s, nil) }},
				operation{"the content of set " + s.Name, func(c *nftables.Conn) error { c.FlushSet(s); return nil }})
		}
	}
	return append(ops, l.made()...)
}

func (r rule) made() operation {
	return operation{fmt.Sprintf("rule %q of chain %s", r.comment, r.chain), func(c *nftables.Conn) error {
		c.AddRule(&nftables.Rule{Table: table(), Chain: &nftables.Chain{Name: r.chain}, Exprs: r.exprs, UserData: r.userData()})
		return nil
	}}
}

func (ch chain) nft() *nftables.Chain {
	c := &nftables.Chain{Table: table(), Name: ch.name, Type: ch.kind, Hooknum: ch.hook}
	if ch.hook != nil {
		accept := nftables.ChainPolicyAccept
		c.Priority, c.Policy = &ch.priority, &accept
	}
	return c
}

func (k class) compare(other class) int {
	return cmp.Or(strings.Compare(k.suffix, other.suffix), cmp.Compare(k.limit, other.limit))
}
