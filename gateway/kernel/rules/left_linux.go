package rules

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Left is a table that another process has made.
type Left struct {
	Grants []Grant // in order
	// Mark and Condemned are the marks of its flows; 0: it does not tell.
	Mark, Condemned uint32
}

// Left tells what is left of a former process, nil when there is no table. Its grants are
// adopted.
func (r *Rules) Left() (*Left, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := read()
	if err != nil || !p.exists {
		return nil, err
	}
	r.take(p)
	return &Left{sorted(r.grants), p.marks["hide"], p.marks["condemned"]}, nil
}

// Drain takes all grants away, and whatever else decides about connections that begin or
// packets that belong to no flow: flows that live go on, can be ended, and are all that
// the table is for until Apply is called again. It does not matter who has made it.
// Without one nothing is done.
func (r *Rules) Drain() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := read()
	if err != nil {
		return err
	}
	if err := commit(flush, p.drained()); err != nil {
		return err
	}
	r.cfg, r.grants, r.classes = nil, map[netip.AddrPort]Grant{}, p.classes
	return nil
}

// drained is the operations of Drain. A table of another version may lack a chain or set.
func (p *present) drained() []operation {
	var ops []operation
	for _, name := range []string{"steer", "guard", "refuse"} {
		there := func(o string) bool { return o == "chain "+name || strings.HasPrefix(o, "chain "+name+" ") }
		if slices.ContainsFunc(p.objects, there) {
			ops = append(ops, operation{"the rules of chain " + name, func(c *nftables.Conn) error {
				c.FlushChain(&nftables.Chain{Table: table(), Name: name})
				return nil
			}})
		}
	}
	for _, f := range []family{ip4, ip6} {
		for _, s := range []*nftables.Set{limitsMap(f), grantsMap(f), relayedSet(f)} {
			if slices.Contains(p.objects, "set "+s.Name) {
				ops = append(ops, operation{"the content of set " + s.Name, func(c *nftables.Conn) error { c.FlushSet(s); return nil }})
			}
		}
	}
	return ops
}

// markOf is the mark that a rule asks flows for; 0: it asks for none.
func markOf(exprs []expr.Any) uint32 {
	asked := false
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Ct:
			asked = e.Key == expr.CtKeyMARK && !e.SourceRegister
		case *expr.Cmp:
			if asked && e.Op == expr.CmpOpEq && len(e.Data) == 4 {
				return binary.NativeEndian.Uint32(e.Data)
			}
		}
	}
	return 0
}
