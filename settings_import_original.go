package main

import (
	"fmt"
	"net/netip"
	"os"
	"text/tabwriter"

	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/original"
)

// asIs changes nothing.
func asIs(s settingsdb.Settings) (settingsdb.Settings, error) { return s, nil }

func (c *settingsImportCommand) readHAProxy() (reviser, error) {
	if c.HAProxy == "" {
		return asIs, nil
	}
	file, err := readFile(c.HAProxy, original.MaxSize, original.ParseHAProxy)
	if err != nil {
		return nil, err
	}
	return func(was settingsdb.Settings) (settingsdb.Settings, error) {
		next, lines, err := was.HAProxy(file)
		if err != nil {
			return was, fmt.Errorf("%s: nothing is imported: %w", c.HAProxy, err)
		}
		return next, printOriginal(c.HAProxy, lines)
	}, nil
}

func (c *settingsImportCommand) readKeepalived() (reviser, error) {
	if c.Keepalived == "" {
		return asIs, nil
	}
	wanted, err := parseNode(c.Node)
	if err != nil {
		return nil, err
	}
	file, err := readFile(c.Keepalived, original.MaxSize, original.ParseKeepalived)
	if err != nil {
		return nil, err
	}
	return func(was settingsdb.Settings) (settingsdb.Settings, error) {
		local, err := localAddrs()
		if err != nil {
			return was, err
		}
		node, err := ownNode(was, wanted, local)
		if err != nil && wanted.IsValid() {
			return was, err
		}
		if err != nil {
			node = netip.Addr{} // the file may be of another host
		}
		next, lines, err := was.Keepalived(file, node)
		if err != nil {
			return was, fmt.Errorf("%s: nothing is imported: %w", c.Keepalived, err)
		}
		return next, printOriginal(c.Keepalived, lines)
	}, nil
}

// printOriginal says what became of each line of a file.
func printOriginal(path string, lines []original.Line) error {
	fmt.Printf("%s:\n", path)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LINE\tDIRECTIVE\tRESULT")
	for _, l := range lines {
		fmt.Fprintf(w, "%d\t%s\t%s\n", l.Number, l.Text, l.Result)
	}
	return w.Flush()
}
