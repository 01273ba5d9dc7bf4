package main

import (
	"context"
	"fmt"
	"net/netip"

	"vdi-gateway/settingsdb"
	"vdi-gateway/vrrp"
)

type releaseCommand struct {
	databaseFlag
}

// Run removes the virtual address from this host, if it is there, whoever put it
// there. It is for the moment after a node ended, however it did.
func (c *releaseCommand) Run(ctx context.Context) error {
	s, err := readSettings(ctx, c.DB)
	if err != nil {
		return err
	}
	found, err := release(s)
	for _, a := range found {
		fmt.Printf("removed %s from this host\n", a)
	}
	return err
}

// release removes the virtual address of the settings from this host, and the one that
// VMs see.
func release(s settingsdb.Settings) ([]netip.Addr, error) {
	v := virtualOf(s)
	if !v.IsValid() || v.IsLoopback() {
		return nil, nil
	}
	list := []netip.Prefix{netip.PrefixFrom(v, s.VirtualPrefixLen)}
	if inside := insideOf(s); inside.IsValid() && inside != v {
		list = append(list, netip.PrefixFrom(inside, inside.BitLen()))
	}
	return vrrp.Release(list)
}
