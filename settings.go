package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"vdi-gateway/settingsdb"
)

type settingsCommand struct {
	Get      settingsGetCommand      `cmd:"" help:"Print the settings document, secrets included."`
	Set      settingsSetCommand      `cmd:"" help:"Lay a whole or partial document over the settings; makes the database when it is not there."`
	History  settingsHistoryCommand  `cmd:"" help:"List the revisions of the settings, newest first."`
	Validate settingsValidateCommand `cmd:"" help:"Check a whole or partial document without changing anything."`
	Import   settingsImportCommand   `cmd:"" help:"Take over the settings of an original Space Gateway, or those of Proxmox's pveproxy."`
}

// queryTime bounds what one command asks of the database.
const queryTime = 30 * time.Second

type settingsGetCommand struct {
	databaseFlag
	Key string `arg:"" optional:"" help:"One top-level key instead of the whole document."`
}

// Run prints the document, or one value of it.
func (c *settingsGetCommand) Run(ctx context.Context) error {
	s, err := readSettings(ctx, c.DB)
	if err != nil {
		return err
	}
	if c.Key == "" {
		return printIndented(s.JSON())
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(s.JSON(), &keys); err != nil {
		return err
	}
	value, ok := keys[c.Key]
	if !ok {
		return fmt.Errorf("there is no settings key %q", c.Key)
	}
	return printIndented(value)
}

func readSettings(ctx context.Context, path string) (settingsdb.Settings, error) {
	store, err := settingsdb.Open(path)
	if err != nil {
		return settingsdb.Settings{}, err
	}
	defer store.Close()
	rev, err := store.Current(ctx)
	return rev.Settings, err
}

func printIndented(value []byte) error {
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		return err
	}
	if text, ok := v.(string); ok { // as a shell wants it
		fmt.Println(text)
		return nil
	}
	var raw json.RawMessage = value
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(raw)
}

type settingsSetCommand struct {
	databaseFlag
	File string `arg:"" optional:"" default:"-" help:"The document; - or nothing is standard input."`
}

// Run validates the document and makes it the settings.
func (c *settingsSetCommand) Run(ctx context.Context) error {
	document, err := readDocument(c.File)
	if err != nil {
		return err
	}
	return revise(ctx, c.DB, "settings set", func(was settingsdb.Settings) (settingsdb.Settings, error) {
		next, problems := settingsdb.Revise(was, document)
		return next, problems.Err()
	})
}

// reviser makes settings of those that there are.
type reviser func(was settingsdb.Settings) (settingsdb.Settings, error)

// revise changes the settings of a database that no node runs on. A missing one is
// made, of the settings of a fresh node.
func revise(ctx context.Context, path, author string, next reviser) error {
	store, err := settingsdb.Open(path)
	if errors.Is(err, settingsdb.ErrNotExist) {
		return createFrom(path, author, next)
	}
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Lock(); err != nil {
		return err
	}
	was, err := store.Current(ctx)
	if err != nil {
		return err
	}
	revised, err := next(was.Settings)
	if err != nil {
		return err
	}
	return put(ctx, store, revised, author)
}

// put makes next the settings of a database no node runs on, and says what
// became of it.
func put(ctx context.Context, store *settingsdb.Store, next settingsdb.Settings, author string) error {
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	was, err := store.Current(ctx)
	if err != nil {
		return err
	}
	rev, err := store.Put(ctx, next, author)
	if err != nil {
		return err
	}
	if changed := settingsdb.Changed(was.Settings, next); len(changed) > 0 {
		fmt.Printf("revision %d: changed %s\n", rev.Number, strings.Join(changed, ", "))
	} else {
		fmt.Printf("revision %d: nothing to change\n", rev.Number)
	}
	warn(next)
	return nil
}

func createFrom(path, author string, next reviser) error {
	fresh, err := freshSettings(netip.Addr{})
	if err != nil {
		return err
	}
	first, err := next(fresh)
	if err != nil {
		return err
	}
	store, err := settingsdb.Create(path, first, author)
	if err != nil {
		return err
	}
	fmt.Printf("revision 1: made %s\n", path)
	warn(first)
	return store.Close()
}

func warn(s settingsdb.Settings) {
	for _, w := range settingsdb.Warnings(s) {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
}

func readDocument(file string) ([]byte, error) {
	if file == "-" || file == "" {
		return io.ReadAll(io.LimitReader(os.Stdin, maxDocument))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDocument))
}

// maxDocument bounds what is read of a document; a real one has a few
// kilobytes.
const maxDocument = 1 << 20

type settingsHistoryCommand struct {
	databaseFlag
	Limit int `default:"20" help:"How many revisions (default: ${default})."`
}

// Run lists the revisions.
func (c *settingsHistoryCommand) Run(ctx context.Context) error {
	store, err := settingsdb.Open(c.DB)
	if err != nil {
		return err
	}
	defer store.Close()
	list, err := store.History(ctx, c.Limit)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REVISION\tTIME\tSTATE\tAUTHOR\tREASON")
	for _, r := range list {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", r.Number, r.At.Format(time.RFC3339), r.State, r.Author, r.Reason)
	}
	return w.Flush()
}

type settingsValidateCommand struct {
	databaseFlag
	File string `arg:"" optional:"" default:"-" help:"The document; - or nothing is standard input."`
}

// Run checks a document over the settings of the database, or over those of a
// fresh node when there is none.
func (c *settingsValidateCommand) Run(ctx context.Context) error {
	document, err := readDocument(c.File)
	if err != nil {
		return err
	}
	base, err := readSettings(ctx, c.DB)
	if errors.Is(err, settingsdb.ErrNotExist) {
		base, err = freshSettings(netip.Addr{})
	}
	if err != nil {
		return err
	}
	next, problems := settingsdb.Revise(base, document)
	if len(problems) > 0 {
		return problems
	}
	warn(next)
	fmt.Println("valid")
	return nil
}
