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
	return r.become(wanted)
}

// Add adds grants; one of the same client and port is replaced. All of them are there
// when it returns without an error.
func (r *Rules) Add(grants []Grant) error {
	added, err := indexed(grants)
	if err != nil {
		return err
	}
	return r.change(func(present map[netip.AddrPort]Grant) { maps.Copy(present, added) })
}

// Remove takes away the grants of the same clients and ports. What is not there does
// no harm. Flows that live go on.
func (r *Rules) Remove(grants []Grant) error {
	return r.change(func(present map[netip.AddrPort]Grant) {
		for _, g := range grants {
			delete(present, g.key())
		}
	})
}

// change does what edit does to the grants. When the kernel refuses, others have been
// at the table: then it is read and mended, and the change tried once more.
func (r *Rules) change(edit func(map[netip.AddrPort]Grant)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg == nil {
		return errNotApplied
	}
	attempt := func() error {
		wanted := maps.Clone(r.grants)
		edit(wanted)
		return r.become(wanted)
	}
	err := attempt()
	if err == nil || r.restore() != nil {
		return err
	}
	return attempt()
}

// restore learns what the kernel has, and mends the table.
func (r *Rules) restore() error { return r.apply(r.cfg) }

// become makes wanted of the grants there are.
func (r *Rules) become(wanted map[netip.AddrPort]Grant) error {
	var gone, come []Grant
	for key, g := range r.grants {
		if wanted[key] != g {
			gone = append(gone, g)
		}
	}
	for key, g := range wanted {
		if r.grants[key] != g {
			come = append(come, g)
		}
	}
	classes := slices.DeleteFunc(classesOf(come), func(k class) bool { return slices.Contains(r.classes, k) })
	ops := removed(gone)
	for _, k := range classes {
		ops = append(ops, k.made()...)
	}
	if err := commitParts(append(ops, added(come)...)); err != nil {
		return err
	}
	r.grants, r.classes = wanted, append(r.classes, classes...)
	slices.SortFunc(r.classes, class.compare)
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
		var vms, limits []nftables.SetElement
		for _, g := range grants {
			if familyOf(g.Client).suffix != f.suffix {
				continue
			}
			key := encode(g.key())
			vms = append(vms, nftables.SetElement{Key: key, Val: encode(g.VM)})
			if k, ok := g.class(); ok {
				limits = append(limits, nftables.SetElement{Key: key, VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: k.chain()}})
			}
		}
		ops = append(ops, elements(limitsMap(f), "limits", limits, do)...)
		ops = append(ops, elements(grantsMap(f), "grants", vms, do)...)
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
