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
// none. With flows that live by it, it is kept for them alone, and goes with the last;
// else it goes now. Where nftables cannot be used at all there is none.
func (k *Kernel) inherit() {
	k.inherited = true
	var left *rules.Left
	var table *conntrack.Table
	err := k.deps.Within(func() (err error) {
		if left, err = k.rules.Left(); err != nil || left == nil {
			return err
		}
		if table = living(*left); table == nil {
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
	if table == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.adopt(left.Grants)
	k.begins(Config{Rules: rules.Config{Mark: left.Mark, Condemned: left.Condemned}}, table)
}

// living opens conntrack if flows live there by a table; nil: none does, or nobody can
// tell.
func living(left rules.Left) *conntrack.Table {
	if left.Mark == 0 || left.Condemned == 0 {
		return nil
	}
	table, err := conntrack.Open()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), inheritTime)
	defer cancel()
	entries, err := table.Dump(ctx, filter(left.Mark, left.Condemned))
	lives := func(f conntrack.Flow) bool {
		return (f.Mark == left.Mark || f.Mark == left.Condemned) && !closed(f)
	}
	if err != nil || !slices.ContainsFunc(entries, lives) {
		_ = table.Close() // it was opened here and never used
		return nil
	}
	return table
}

// filter chooses flows with either mark, and few others.
func filter(mark, condemned uint32) conntrack.Filter {
	return conntrack.Filter{Mark: mark, Mask: ^(mark ^ condemned)}
}

// closed tells whether an entry's connection has ended.
func closed(f conntrack.Flow) bool {
	return f.State == conntrack.TimeWait || f.State == conntrack.Close
}
