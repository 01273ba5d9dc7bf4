package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"

	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/pveproxy"
)

type settingsImportCommand struct {
	databaseFlag
	Original   string `arg:"" optional:"" type:"existingfile" help:"settings.db of the original, or its JSON document in a file."`
	HAProxy    string `name:"haproxy" type:"existingfile" placeholder:"FILE" help:"The original's haproxy.cfg: its addresses, ports, nodes and algorithm are laid over the settings, the rest of them stays."`
	Keepalived string `type:"existingfile" placeholder:"FILE" help:"The original's keepalived.conf: its virtual router is laid over the settings, the rest of them stays."`
	Pveproxy   string `type:"existingfile" placeholder:"FILE" help:"Instead of an original: /etc/default/pveproxy of a Proxmox host. What it sets is laid over the settings, the rest of them stays."`
	Node       string `placeholder:"ADDR" help:"With --keepalived: which of internal_addrs the file is of; needed when that is not clear."`
	DryRun     bool   `help:"Say what would be taken, and change nothing."`
}

// Validate tells kong that there is something to import, of one gateway.
func (c *settingsImportCommand) Validate() error {
	ofOriginal := c.Original != "" || c.HAProxy != "" || c.Keepalived != ""
	switch {
	case !ofOriginal && c.Pveproxy == "":
		return errors.New("expected <original>, --haproxy=FILE, --keepalived=FILE or --pveproxy=FILE")
	case ofOriginal && c.Pveproxy != "":
		return errors.New("expected either files of an original or --pveproxy=FILE, not both: import one after the other")
	}
	return nil
}

// Run makes what files say the settings, in a database that no node runs on; it makes the
// database when there is none.
func (c *settingsImportCommand) Run(ctx context.Context) error {
	next, err := c.source()
	if err != nil {
		return err
	}
	if c.DryRun {
		return preview(ctx, c.DB, next)
	}
	return revise(ctx, c.DB, "settings import", next)
}

// preview says what a change would change.
func preview(ctx context.Context, path string, next reviser) error {
	e, err := settingsdb.Examine(ctx, path)
	was := e.Revision.Settings
	if errors.Is(err, settingsdb.ErrNotExist) {
		was, err = freshSettings(netip.Addr{})
	}
	if err != nil {
		return err
	}
	revised, err := next(was)
	if err != nil {
		return err
	}
	if changed := settingsdb.Changed(was, revised); len(changed) > 0 {
		fmt.Printf("nothing is changed; it would be: %s\n", strings.Join(changed, ", "))
	} else {
		fmt.Println("nothing is changed, and nothing would be")
	}
	warn(revised)
	return nil
}

// source reads the files. An original replaces everything: keys of ours get their
// defaults, and targets.require_ticket is false, since the original knows no tickets. Its
// other files are laid over that, or over the settings.
func (c *settingsImportCommand) source() (reviser, error) {
	if c.Pveproxy != "" {
		return readPveproxy(c.Pveproxy)
	}
	var all []reviser
	if c.Original != "" {
		document, err := settingsdb.ReadOriginal(c.Original)
		if err != nil {
			return nil, err
		}
		all = append(all, func(settingsdb.Settings) (settingsdb.Settings, error) { return document, nil })
	}
	for _, read := range []func() (reviser, error){c.readHAProxy, c.readKeepalived} {
		next, err := read()
		if err != nil {
			return nil, err
		}
		all = append(all, next)
	}
	return func(s settingsdb.Settings) (settingsdb.Settings, error) {
		var err error
		for _, next := range all {
			if s, err = next(s); err != nil {
				return s, err
			}
		}
		return s, nil
	}, nil
}

func readPveproxy(path string) (reviser, error) {
	file, err := readFile(path, pveproxy.MaxSize, pveproxy.Parse)
	if err != nil {
		return nil, err
	}
	return func(was settingsdb.Settings) (settingsdb.Settings, error) {
		next, lines, err := was.Pveproxy(file, certificateHere())
		if err != nil {
			return was, fmt.Errorf("%s: %w", path, err)
		}
		return next, printLines(lines)
	}, nil
}

// readFile reads a file, and one byte more than it may have, which parse refuses.
func readFile[T any](path string, most int64, parse func([]byte) (T, error)) (file T, err error) {
	f, err := os.Open(path)
	if err != nil {
		return file, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return file, err
	}
	if file, err = parse(text); err != nil {
		err = fmt.Errorf("%s: nothing is imported:\n%w", path, err)
	}
	return file, err
}

// certificateHere is pveproxy's certificate when this machine is a Proxmox host.
func certificateHere() string {
	if _, err := os.Stat(pveproxy.Certificate); err != nil {
		return ""
	}
	return pveproxy.Certificate
}

func printLines(lines []pveproxy.Line) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tRESULT")
	for _, line := range lines {
		fmt.Fprintf(w, "%s\t%s\n", line.Key, line.Result)
	}
	return w.Flush()
}
