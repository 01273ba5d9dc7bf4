package kernel

import (
	"context"
	"slices"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/kernel/rules"
)

// inheritTime bounds how long flows are looked for that a former process has left.
const inheritTime = 5 * time.Second

// inherit looks for a table that a former process has left, while this one is to have
// none. With flows that live by it, it is kept for them alone, with their grants, and goes
// with the last; else it goes now. Where nftables cannot be used at all there is none.
func (k *Kernel) inherit() {
	k.inherited = true
	var left *rules.Left
	var table *conntrack.Table
	var flows []conntrack.Flow
	err := k.deps.Within(func() (err error) {
		if left, err = k.rules.Left(); err != nil || left == nil {
			return err
		}
		if table, flows = living(*left); table == nil {
			return k.rules.Delete()
		}
		return k.rules.Drain()
	})
	switch {
	case left == nil && err != nil:
		k.deps.Log.WithError(err).Debug("whether a former process has left a table of nftables cannot be told")
	case err != nil:
		k.deps.Log.WithError(err).Warn("the table of nftables that a former process has left stays as it is")
	}
	if table != nil {
		k.keep(*left, table, flows)
	}
}

// keep has the loop follow flows that were left. Grants that nobody lives by are those of
// another time.
func (k *Kernel) keep(left rules.Left, table *conntrack.Table, flows []conntrack.Flow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range left.Grants {
		g := Grant(r)
		by := func(f conntrack.Flow) bool { return f.Client().Addr() == g.Client && f.Virtual().Port() == g.Port }
		if k.grants[g.key()] == nil && slices.ContainsFunc(flows, by) {
			k.grants[g.key()] = &granted{Grant: g, class: g.Limit, left: true}
		}
	}
	k.begins(Config{Rules: rules.Config{Mark: left.Mark, Condemned: left.Condemned}}, table)
}

// living opens conntrack if flows live there by a table, and tells which; nil: none does,
// or nobody can tell.
func living(left rules.Left) (*conntrack.Table, []conntrack.Flow) {
	if left.Mark == 0 || left.Condemned == 0 {
		return nil, nil
	}
	table, err := conntrack.Open()
	if err != nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), inheritTime)
	defer cancel()
	entries, err := table.Dump(ctx, filter(left.Mark, left.Condemned))
	flows := slices.DeleteFunc(entries, func(f conntrack.Flow) bool {
		return f.Mark != left.Mark && f.Mark != left.Condemned || closed(f)
	})
	if err != nil || len(flows) == 0 {
		_ = table.Close() // it was opened here and never used
		return nil, nil
	}
	return table, flows
}

// filter chooses flows with either mark, and few others.
func filter(mark, condemned uint32) conntrack.Filter {
	return conntrack.Filter{Mark: mark, Mask: ^(mark ^ condemned)}
}

// closed tells whether an entry's connection has ended.
func closed(f conntrack.Flow) bool {
	return f.State == conntrack.TimeWait || f.State == conntrack.Close
}

// Clear takes the table away that former processes have left, and with it whatever lives
// by it; true: there was one. It is for the moment after a node was stopped on purpose.
func Clear() (bool, error) {
	r := rules.New()
	left, err := r.Left()
	if err != nil || left == nil {
		return false, err
	}
	return true, r.Delete()
}
