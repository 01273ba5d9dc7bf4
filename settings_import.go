package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/pveproxy"
)

type settingsImportCommand struct {
	databaseFlag
	Original string `arg:"" optional:"" type:"existingfile" help:"settings.db of the original, or its JSON document in a file."`
	Pveproxy string `type:"existingfile" placeholder:"FILE" help:"Instead of an original: /etc/default/pveproxy of a Proxmox host. What it sets is laid over the settings, the rest of them stays."`
}

// Validate tells kong that there is one file to import, not two and not none.
func (c *settingsImportCommand) Validate() error {
	switch {
	case c.Original == "" && c.Pveproxy == "":
		return errors.New("expected <original>, or --pveproxy=FILE")
	case c.Original != "" && c.Pveproxy != "":
		return errors.New("expected either <original> or --pveproxy=FILE, not both: import one after the other")
	}
	return nil
}

// Run makes the document of a file the settings, in a database that no node runs on; it
// makes the database when there is none.
func (c *settingsImportCommand) Run(ctx context.Context) error {
	next, err := c.source()
	if err != nil {
		return err
	}
	return revise(ctx, c.DB, "settings import", next)
}

// source reads the file. An original replaces everything: keys of ours get their
// defaults, and targets.require_ticket is false, since the original knows no tickets.
func (c *settingsImportCommand) source() (reviser, error) {
	if c.Pveproxy != "" {
		return readPveproxy(c.Pveproxy)
	}
	original, err := settingsdb.ReadOriginal(c.Original)
	return func(settingsdb.Settings) (settingsdb.Settings, error) { return original, err }, err
}

func readPveproxy(path string) (reviser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, pveproxy.MaxSize+1))
	if err != nil {
		return nil, err
	}
	file, err := pveproxy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: nothing is imported:\n%w", path, err)
	}
	return func(was settingsdb.Settings) (settingsdb.Settings, error) {
		next, lines, err := was.Pveproxy(file, certificateHere())
		if err != nil {
			return was, fmt.Errorf("%s: %w", path, err)
		}
		return next, printLines(lines)
	}, nil
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
