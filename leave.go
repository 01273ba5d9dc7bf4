package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"vdi-gateway/api/certificate/acme"
	"vdi-gateway/settingsdb"
)

type leaveCommand struct {
	databaseFlag
	Node  string `placeholder:"ADDR" help:"Which of internal_addrs this machine is; needed when several are on it."`
	Force bool   `help:"Leave though no other node can be reached; they keep listing this machine."`
}

// Run makes this machine a node alone, with keys of its own.
func (c *leaveCommand) Run(ctx context.Context) error {
	wanted, err := parseNode(c.Node)
	if err != nil {
		return err
	}
	m, err := openMachine(ctx, c.DB, wanted)
	if err != nil {
		return err
	}
	defer func() { _ = m.close() }() // what was written is written
	local, err := localAddrs()
	if err != nil {
		return err
	}
	own, err := ownNode(m.was, wanted, local)
	if err != nil {
		return err
	}
	if len(m.was.InternalAddrs) == 1 {
		return fmt.Errorf("%s is a node alone: there is nothing to leave", own)
	}
	if err := c.depart(ctx, m.was, own); err != nil {
		return err
	}
	if err := m.put(ctx, aloneAs(m.was, own), "leave", 0); err != nil {
		return fmt.Errorf("the cluster no longer lists %s, but its own settings could not be changed: %w", own, err)
	}
	if err := acme.Forget(certificateDeps(c.DB).Dir); err != nil {
		say("the cluster's account and certificate of the authority are still here, remove them: %v", err)
	}
	fmt.Printf("%s is a node alone, with new keys; see them with: vdi-gateway settings get --db %s\n", own, c.DB)
	return nil
}

// depart has the other nodes take own off their list.
func (c *leaveCommand) depart(ctx context.Context, s settingsdb.Settings, own netip.Addr) error {
	var failed error
	for _, n := range nodesOf(s) {
		if n == own {
			continue
		}
		f := fellow{nodeClient(s, n)}
		say("asking %s to take %s off the cluster", n, own)
		err := f.edit(ctx, func(s settingsdb.Settings) (map[string]any, error) { return withoutNode(s, own), nil })
		if err == nil {
			return nil
		}
		failed = errors.Join(failed, err)
	}
	if c.Force {
		say("no other node was reached; they go on listing %s: %v", own, failed)
		return nil
	}
	return fmt.Errorf("no other node takes %s off the list, and nothing was changed (--force leaves all the same): %w", own, failed)
}

// withoutNode are the keys that change when a node goes.
func withoutNode(s settingsdb.Settings, own netip.Addr) map[string]any {
	is := func(text string) bool {
		a, err := netip.ParseAddr(text)
		return err == nil && a.Unmap() == own
	}
	nodes := map[string]settingsdb.NodeSettings{}
	for addr, n := range s.Nodes {
		if !is(addr) {
			nodes[addr] = n
		}
	}
	return map[string]any{"internal_addrs": slices.DeleteFunc(slices.Clone(s.InternalAddrs), is), "nodes": nodes}
}

// aloneAs is the document of a node that has left: nothing of it lets anybody
// into the cluster, nor the cluster's holders of keys into it.
func aloneAs(s settingsdb.Settings, own netip.Addr) settingsdb.Settings {
	nodes := map[string]settingsdb.NodeSettings{}
	if n := s.Node(own); n != (settingsdb.NodeSettings{}) {
		nodes[own.String()] = n
	}
	s.InternalAddrs, s.VirtualAddr, s.PublicAddr, s.Nodes = []string{own.String()}, "", "", nodes
	s.TLS.ACME = nil // the cluster has the name and the account
	if own.IsLoopback() && s.ListenIP == "" {
		s.ListenIP = own.String() // others stay on this loopback
	}
	s.APIKey, s.CLIKey, s.ClusterKey = settingsdb.NewKey(), settingsdb.NewKey(), settingsdb.NewKey()
	return s
}
