package main

import (
	"context"
	"fmt"
	"net/netip"

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
	v := virtualOf(s)
	if !v.IsValid() || v.IsLoopback() {
		return nil
	}
	found, err := vrrp.Release([]netip.Prefix{netip.PrefixFrom(v, s.VirtualPrefixLen)})
	for _, a := range found {
		fmt.Printf("removed %s from this host\n", a)
	}
	return err
}
