package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/sirupsen/logrus"

	"vdi-gateway/settingsdb"
)

type runCommand struct {
	databaseFlag
	Node     string `placeholder:"ADDR" help:"Which of internal_addrs this node is; needed when several are on this host."`
	LogLevel string `default:"info" enum:"error,warn,info,debug" help:"error, warn, info or debug (default: ${default})."`
}

// Run serves until it is told to stop.
func (c *runCommand) Run(ctx context.Context) error {
	log, err := newLog(c.LogLevel)
	if err != nil {
		return err
	}
	wanted, err := parseNode(c.Node)
	if err != nil {
		return err
	}
	store, err := openOrCreate(c.DB, wanted, log)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Lock(); err != nil {
		return err
	}
	return newApp(store, wanted, log).run(ctx)
}

func parseNode(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("--node must be an IP address of internal_addrs: %w", err)
	}
	return a.Unmap(), nil
}

// openOrCreate opens the database; a missing one is made for a node alone.
func openOrCreate(path string, own netip.Addr, log logrus.FieldLogger) (*settingsdb.Store, error) {
	store, err := settingsdb.Open(path)
	if !errors.Is(err, settingsdb.ErrNotExist) {
		return store, err
	}
	fresh, err := freshSettings(own)
	if err != nil {
		return nil, err
	}
	store, err = settingsdb.Create(path, fresh, "first start")
	if err == nil {
		log.WithField("database", path).Infof("new settings database with generated keys; see them with: vdi-gateway settings get --db %s", path)
	}
	return store, err
}

// freshSettings are those of a new node alone. own is its address; invalid
// means the first of this host.
func freshSettings(own netip.Addr) (settingsdb.Settings, error) {
	if !own.IsValid() {
		local, err := localAddrs()
		if err != nil {
			return settingsdb.Settings{}, err
		}
		own = firstAddr(local)
	}
	return settingsdb.Fresh(own)
}
