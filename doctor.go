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
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/settingsdb"
)

type doctorCommand struct {
	databaseFlag
	Node   string        `placeholder:"ADDR" help:"Which of internal_addrs this node is; needed when several are on this host."`
	Listen time.Duration `placeholder:"TIME" default:"0s" help:"How long to listen for VRRP and to ask the neighbours; more where adverts may be rare (default: three intervals, one second at least)."`
	JSON   bool          `name:"json" help:"Print the findings as JSON."`
}

// level is how a finding is to be taken.
type level string

const (
	levelOK      level = "ok"
	levelWarn    level = "warn"    // it serves, but see to it
	levelFail    level = "fail"    // something does not work, or will not
	levelUnknown level = "unknown" // it could not be looked at
)

// finding is the outcome of one check.
type finding struct {
	Name  string `json:"name"`
	Level level  `json:"level"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
}

func fine(name, format string, args ...any) finding {
	return finding{Name: name, Level: levelOK, Found: fmt.Sprintf(format, args...)}
}

func warned(name, do, format string, args ...any) finding {
	return finding{name, levelWarn, fmt.Sprintf(format, args...), do}
}

func failed(name, do, format string, args ...any) finding {
	return finding{name, levelFail, fmt.Sprintf(format, args...), do}
}

func unknown(name, do, format string, args ...any) finding {
	return finding{name, levelUnknown, fmt.Sprintf(format, args...), do}
}

// asRoot is what to do where a permission is missing.
const asRoot = "run vdi-gateway doctor as root"

// patient is what a doctor knows before he looks closer.
type patient struct {
	db       string
	s        settingsdb.Settings
	revision int64
	node     netip.Addr // invalid: this host is none of the nodes
	pid      int        // of the node; 0: none runs
	plan     plan
	health   ownHealth
	listen   time.Duration
}

func (p patient) running() bool { return p.pid != 0 }

// diagnosis is all that was found.
type diagnosis struct {
	Result   string    `json:"result"` // ok, wrong or unknown
	Version  string    `json:"version"`
	Node     string    `json:"node"`
	PID      int       `json:"pid"` // of the running node, 0: none runs
	Revision int64     `json:"settings_revision"`
	Checks   []finding `json:"checks"`
}

// resultOf sums findings up: what has to be done counts more than what is not known.
func resultOf(list []finding) string {
	result := "ok"
	for _, f := range list {
		switch f.Level {
		case levelWarn, levelFail:
			return "wrong"
		case levelUnknown:
			result = "unknown"
		}
	}
	return result
}

// diagnosed is the end of the command where there is something to say.
type diagnosed string

func (d diagnosed) Error() string {
	if d == "wrong" {
		return "there is something to do"
	}
	return "some of it could not be looked at"
}

// exitCode is for scripts: 1 when there is something to do, 2 when that is not known.
func (d diagnosed) exitCode() int {
	if d == "wrong" {
		return 1
	}
	return 2
}

// Run looks at everything, and changes nothing.
func (c *doctorCommand) Run(ctx context.Context) error {
	wanted, err := parseNode(c.Node)
	if err != nil {
		return err
	}
	d := c.diagnose(ctx, wanted)
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(d)
	} else {
		err = d.print(os.Stdout)
	}
	if err == nil && d.Result != "ok" {
		return diagnosed(d.Result)
	}
	return err
}

func (c *doctorCommand) diagnose(ctx context.Context, wanted netip.Addr) diagnosis {
	p, list := c.meet(ctx, wanted)
	if len(p.s.InternalAddrs) > 0 {
		list = append(list, p.examine(ctx)...)
	}
	d := diagnosis{Result: resultOf(list), Version: version, PID: p.pid, Revision: p.revision, Checks: list}
	if p.node.IsValid() {
		d.Node = p.node.String()
	}
	return d
}

// meet finds out whom this is about. Without settings there is nothing more to look at.
func (c *doctorCommand) meet(ctx context.Context, wanted netip.Addr) (patient, []finding) {
	p := patient{db: c.DB, listen: c.Listen}
	var err error
	list := []finding{diskFinding(diskOf(c.DB))}
	p.pid, err = settingsdb.Holder(c.DB)
	if err != nil {
		list = append(list, unknown("node", asRoot, "whether a node runs on %s: %v", c.DB, err))
	}
	e, err := settingsdb.Examine(ctx, c.DB)
	list = append(list, databaseFinding(c.DB, e, err))
	p.s, p.revision = e.Revision.Settings, e.Revision.Number
	if errors.Is(err, settingsdb.ErrNotExist) {
		p.s, err = freshSettings(wanted)
	}
	if err != nil {
		return patient{pid: p.pid, db: p.db}, list
	}
	local, err := localAddrs()
	if err == nil {
		p.node, err = ownNode(p.s, wanted, local)
	}
	list = append(list, setupFinding(p.node, err))
	p.plan = newPlan(p.s, p.node)
	return p, list
}

// examine makes all further checks at once: most of them wait for others.
func (p patient) examine(ctx context.Context) []finding {
	p.health = p.askOwn(ctx)
	fellows := p.askFellows(ctx)
	parts := []func() []finding{
		func() []finding { return []finding{healthFinding(p.pid, p.health)} },
		p.process,
		p.kernel,
		p.ports,
		func() []finding { return p.wire(ctx, fellows) },
		func() []finding { return fellowFindings(p.revision, fellows) },
		func() []finding { return p.packets(ctx) },
		func() []finding { return p.dispatchers(ctx) },
		p.certificate,
	}
	results := make([][]finding, len(parts))
	var group errgroup.Group
	for i, look := range parts {
		group.Go(func() error { results[i] = look(); return nil })
	}
	_ = group.Wait() // none of them fails
	var list []finding
	for _, r := range results {
		list = append(list, r...)
	}
	return list
}

// print is for people: one line a finding, and one below it that says what to do.
func (d diagnosis) print(out io.Writer) error {
	width := 0
	for _, f := range d.Checks {
		width = max(width, len(f.Name))
	}
	var b strings.Builder
	for _, f := range d.Checks {
		fmt.Fprintf(&b, "%-7s  %-*s  %s\n", f.Level, width, f.Name, strings.ReplaceAll(f.Found, "\n", "; "))
		if f.Do != "" {
			fmt.Fprintf(&b, "%-7s  %-*s  -> %s\n", "", width, "", f.Do)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
