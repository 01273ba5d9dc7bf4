package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/settingsdb"
	"vdi-gateway/vrrp"
)

type releaseCommand struct {
	databaseFlag
	Table bool `help:"Also remove the kernel's table, which ends the connections that the kernel carries. Done anyway after systemd has stopped the service on purpose."`
}

// stoppedOnPurpose is what systemd tells ExecStopPost= of a service that was asked to
// stop and did so. After anything else the kernel's connections are to go on: the node
// that follows, or the next start, knows them.
const stoppedOnPurpose = "success"

// Run removes the virtual address from this host, if it is there, whoever put it there,
// and the kernel's table if that is not to be used any more. It is for the moment after a
// node ended, however it did.
func (c *releaseCommand) Run(ctx context.Context) error {
	left, err := lookAt(ctx, c.DB)
	if errors.Is(err, settingsdb.ErrNotExist) {
		fmt.Println("nothing to release:", err)
		return nil
	}
	if err != nil {
		return err
	}
	if left.running {
		say("a node runs on %s: it may take its address again (to move it: vdi-gateway failover)", c.DB)
	}
	found, err := release(left.settings)
	for _, a := range found {
		fmt.Printf("removed %s from this host\n", a)
	}
	if clears(left, c.Table, os.Getenv("SERVICE_RESULT")) {
		removed, failed := kernel.Clear()
		if removed && failed == nil {
			fmt.Println("removed the kernel's table: connections that it carried here have ended")
		}
		err = errors.Join(err, failed)
	}
	return err
}

// leftover is what the database says of a node that has ended.
type leftover struct {
	settings settingsdb.Settings
	steered  bool // its kernel may have a table
	running  bool // it has not ended
}

// lookAt reads the database as it is, which another process may have.
func lookAt(ctx context.Context, path string) (leftover, error) {
	store, err := settingsdb.OpenReadOnly(path)
	if err != nil {
		return leftover{}, err
	}
	defer store.Close()
	rev, err := store.Current(ctx)
	if err != nil {
		return leftover{}, err
	}
	steered, err := store.State(ctx, steeredKey)
	if err != nil {
		return leftover{}, err
	}
	running, err := store.Locked()
	return leftover{rev.Settings, steered != "", running}, err
}

// clears tells whether the kernel's table is to go: only that of this database, and only
// when nobody is to go on by it.
func clears(l leftover, asked bool, result string) bool {
	return l.steered && !l.running && (asked || result == stoppedOnPurpose)
}

// release removes the virtual address of the settings from this host, and the one that
// VMs see.
func release(s settingsdb.Settings) ([]netip.Addr, error) {
	v := virtualOf(s)
	if !v.IsValid() || v.IsLoopback() {
		return nil, nil
	}
	return vrrp.Release(append([]netip.Prefix{netip.PrefixFrom(v, s.VirtualPrefixLen)}, besides(s)...))
}
