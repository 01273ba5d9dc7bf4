package rules

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Set makes the grants all that there are. It asks the kernel what it has, so it mends
// what others have done to the maps; equal: nothing is sent.
func (r *Rules) Set(grants []Grant) error {
	wanted, err := indexed(grants)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg == nil {
		return errNotApplied
	}
	if err := r.restore(); err != nil {
		return err
	}
	edits := make(map[netip.AddrPort]Grant, len(wanted))
	for key := range r.grants {
		edits[key] = Grant{}
	}
	maps.Copy(edits, wanted)
	return r.edit(edits)
}

// Add adds grants; one of the same client and port is replaced. All of them are there
// when it returns without an error.
func (r *Rules) Add(grants []Grant) error {
	edits, err := indexed(grants)
	if err != nil {
		return err
	}
	return r.change(edits)
}

// Remove takes away the grants of the same clients and ports. What is not there does
// no harm. Flows that live go on.
func (r *Rules) Remove(grants []Grant) error {
	edits := make(map[netip.AddrPort]Grant, len(grants))
	for _, g := range grants {
		edits[g.key()] = Grant{}
	}
	return r.change(edits)
}

// change is edit for callers. When the kernel refuses, others have been at the table:
// then it is read and mended, and the change tried once more.
func (r *Rules) change(edits map[netip.AddrPort]Grant) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg == nil {
		return errNotApplied
	}
	err := r.edit(edits)
	if err == nil || r.restore() != nil {
		return err
	}
	return r.edit(edits)
}

// restore learns what the kernel has, and mends the table.
func (r *Rules) restore() error { return r.apply(r.cfg, nil) }

// edit puts grants in the place of those with the same keys; the zero one is none.
func (r *Rules) edit(edits map[netip.AddrPort]Grant) error {
	var gone, come []Grant
	for key, g := range edits {
		old, found := r.grants[key]
		if old == g {
			continue
		}
		if found {
			gone = append(gone, old)
		}
		if g != (Grant{}) {
			come = append(come, g)
		}
	}
	classes := slices.DeleteFunc(classesOf(come), func(k class) bool { return slices.Contains(r.classes, k) })
	ops := removed(gone)
	for _, k := range classes {
		ops = append(ops, k.made()...)
	}
	if err := commitParts(r.line.flush, append(ops, added(come)...)); err != nil {
		return err
	}
	r.classes = append(r.classes, classes...)
	slices.SortFunc(r.classes, class.compare)
	for _, g := range gone {
		delete(r.grants, g.key())
	}
	for _, g := range come {
		r.grants[g.key()] = g
	}
	return nil
}

// class is the limit of a grant; false when it has none.
func (g Grant) class() (class, bool) {
	return class{familyOf(g.Client).suffix, g.Limit}, g.Limit > 0
}

// classesOf are the limits of grants, each once, in order.
func classesOf(grants []Grant) []class {
	var all []class
	for _, g := range grants {
		if k, ok := g.class(); ok && !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, class.compare)
	return all
}

// made is the operations that make what a limit takes.
func (k class) made() []operation {
	return []operation{
		{"set " + k.live(), func(c *nftables.Conn) error { return c.AddSet(k.set(), nil) }},
		{"chain " + k.chain(), func(c *nftables.Conn) error { c.AddChain(chain{name: k.chain()}.nft()); return nil }},
		k.rule().made(),
	}
}

// change of the elements of a set, as the library does it.
type change func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error

func added(grants []Grant) []operation { return changed(grants, (*nftables.Conn).SetAddElements) }

func removed(grants []Grant) []operation {
	return changed(grants, (*nftables.Conn).SetDeleteElements)
}

// changed is the operations that change the elements of grants. The limits come first:
// a grant is never there without its own.
func changed(grants []Grant, do change) []operation {
	var ops []operation
	for _, f := range []family{ip4, ip6} {
		var vms, limits, relayed []nftables.SetElement
		for _, g := range grants {
			if familyOf(g.Client).suffix != f.suffix {
				continue
			}
			key := encode(g.key())
			if g.Relayed() {
				relayed = append(relayed, nftables.SetElement{Key: key})
				continue
			}
			vms = append(vms, nftables.SetElement{Key: key, Val: encode(g.VM)})
			if k, ok := g.class(); ok {
				limits = append(limits, nftables.SetElement{Key: key, VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: k.chain()}})
			}
		}
		ops = append(ops, elements(limitsMap(f), "limits", limits, do)...)
		ops = append(ops, elements(grantsMap(f), "grants", vms, do)...)
		ops = append(ops, elements(relayedSet(f), "relayed grants", relayed, do)...)
	}
	return ops
}

// elements is the operations that change the elements of a set, so many each that the
// library can send them.
func elements(s *nftables.Set, what string, all []nftables.SetElement, do change) []operation {
	var ops []operation
	first := 1
	for part := range slices.Chunk(all, chunk) {
		name := fmt.Sprintf("%s %d to %d of set %s", what, first, first+len(part)-1, s.Name)
		ops = append(ops, operation{name, func(c *nftables.Conn) error { return do(c, s, part) }})
		first += len(part)
	}
	return ops
}
