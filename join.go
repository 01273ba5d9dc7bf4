package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"vdi-gateway/settingsdb"
)

type joinCommand struct {
	databaseFlag
	trustFlag
	Address  string `arg:"" help:"A node of the cluster."`
	APIKey   string `name:"api-key" placeholder:"KEY" env:"VDI_GATEWAY_API_KEY" help:"The cluster's api_key; - reads it from standard input (or $$${env})."`
	Port     uint16 `default:"8000" help:"The cluster's api_port (default: ${default})."`
	Own      string `placeholder:"ADDR" help:"Address of this machine in internal_addrs (default: the one by which it reaches ADDRESS)."`
	Insecure bool   `help:"Let the keys of the cluster travel readable, or to whoever answers: only within a network that you trust."`
}

const (
	joinTries = 10 // of a change that others get in the way of
	joinPause = time.Second
)

// Run makes this machine a node of the cluster.
func (c *joinCommand) Run(ctx context.Context) error {
	member, own, err := c.addresses()
	if err != nil {
		return err
	}
	key, err := c.key()
	if err != nil {
		return err
	}
	f, err := c.fellow(ctx, member, key)
	if err != nil {
		return err
	}
	say("reading the settings of %s", f.base)
	s, number, err := f.fetch(ctx)
	if err != nil {
		return err
	}
	next, err := withNode(s, own)
	if err != nil {
		return err
	}
	m, err := openMachine(ctx, c.DB, own)
	if err != nil {
		return err
	}
	defer func() { _ = m.close() }() // what was written is written
	return c.join(ctx, m, f, next, own, number)
}

// join takes the settings over here, and then has the cluster add this node: so a
// cluster never lists a node that could not have its settings. What fails leaves
// the machine as it was.
func (c *joinCommand) join(ctx context.Context, m *machine, f fellow, next settingsdb.Settings, own netip.Addr, number int64) error {
	say("taking them over on this machine, as %s", own)
	if err := m.put(ctx, next, "join "+c.Address, number+1); err != nil {
		return fmt.Errorf("this machine cannot have the settings of the cluster, and keeps its own: %w", err)
	}
	say("asking the cluster to add %s", own)
	err := f.add(ctx, own)
	if err != nil {
		if back := m.put(context.WithoutCancel(ctx), m.was, "join failed", 0); back != nil {
			return errors.Join(err, fmt.Errorf("and the former settings could not be put back, see settings history: %w", back))
		}
		return fmt.Errorf("the cluster did not add this machine, which has its former settings again: %w", err)
	}
	fmt.Printf("%s is a node of the cluster of %s\n", own, c.Address)
	if m.running == nil {
		fmt.Println("start it with: vdi-gateway run --db", c.DB)
	}
	return nil
}

// add has the cluster list a node, whatever else changes meanwhile.
func (f fellow) add(ctx context.Context, own netip.Addr) error {
	return f.edit(ctx, func(s settingsdb.Settings) (map[string]any, error) {
		next, err := withNode(s, own)
		return map[string]any{"internal_addrs": next.InternalAddrs}, err
	})
}

// edit changes the settings of the cluster by what they are.
func (f fellow) edit(ctx context.Context, change func(settingsdb.Settings) (map[string]any, error)) error {
	for try := 1; ; try++ {
		s, number, err := f.fetch(ctx)
		if err != nil {
			return err
		}
		keys, err := change(s)
		if err != nil {
			return err
		}
		err = f.change(ctx, keys, number)
		if err == nil || !isStatus(err, http.StatusConflict) || try == joinTries {
			return err
		}
		say("another change is under way; trying again")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(joinPause):
		}
	}
}

// withNode is the document with own among the nodes.
func withNode(s settingsdb.Settings, own netip.Addr) (settingsdb.Settings, error) {
	if slices.Contains(nodesOf(s), own) {
		return s, nil // a machine that takes the place of one that was lost
	}
	s.InternalAddrs = append(slices.Clone(s.InternalAddrs), own.String())
	if problems := s.Validate(); len(problems) > 0 {
		return s, fmt.Errorf("the cluster cannot have %s as a node: %w", own, problems)
	}
	return s, nil
}

// addresses are the member's and this machine's.
func (c *joinCommand) addresses() (member, own netip.Addr, err error) {
	addrs, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", c.Address)
	if err != nil {
		return member, own, fmt.Errorf("ADDRESS must be an IP address or a host name of a node: %w", err)
	}
	member = addrs[0].Unmap()
	if c.Own != "" {
		own, err = netip.ParseAddr(c.Own)
		if err != nil {
			return member, own, fmt.Errorf("--own must be an IP address of this machine: %w", err)
		}
	} else if own, err = towards(member, c.Port); err != nil {
		return member, own, err
	}
	own = own.Unmap()
	local, err := localAddrs()
	switch {
	case err != nil:
		return member, own, err
	case own == member:
		return member, own, fmt.Errorf("%s is this machine itself: ADDRESS is a node of the cluster to join; with several on one machine say --own", member)
	case !isLocal(own, local):
		return member, own, fmt.Errorf("--own %s is on no interface of this machine", own)
	}
	return member, own, nil
}

// towards is the address of this machine that traffic to another one has.
func towards(member netip.Addr, port uint16) (netip.Addr, error) {
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "udp", net.JoinHostPort(member.String(), strconv.Itoa(int(port)))) // sends nothing
	if err != nil {
		return netip.Addr{}, fmt.Errorf("there is no way to %s: %w", member, err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr(), nil
}

// fellow is the node that is asked, if it may hear a key and tell all of them.
func (c *joinCommand) fellow(ctx context.Context, member netip.Addr, key string) (fellow, error) {
	at := netip.AddrPortFrom(member, c.Port).String()
	shown, err := presented(ctx, at)
	if err != nil {
		return fellow{}, explainFellow(origin("http", at), err)
	}
	secure, err := c.config()
	if err != nil {
		return fellow{}, err
	}
	careless := c.Insecure || member.IsLoopback()
	if len(shown) == 0 {
		if !careless {
			return fellow{}, errors.New("the cluster speaks no TLS, and its keys would travel readable: set ssl to true there first, or say --insecure if you trust the network between the two machines")
		}
		return fellow{newClient(origin("http", at), key, nil)}, nil
	}
	secure.InsecureSkipVerify = secure.InsecureSkipVerify || careless
	secure.ServerName = c.Address
	return fellow{newClient(origin("https", at), key, secure)}, nil
}

func (c *joinCommand) key() (string, error) {
	key := c.APIKey
	if key == "-" {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && line == "" {
			return "", fmt.Errorf("no key on standard input: %w", err)
		}
		key = strings.TrimSpace(line)
	}
	if key == "" {
		return "", errors.New("--api-key is needed: see it on a node of the cluster with: vdi-gateway settings get api_key")
	}
	return key, nil
}

// say tells what a command is about to do.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
