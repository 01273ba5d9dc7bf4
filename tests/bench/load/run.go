package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"vdi-gateway/tests/lab"
)

// startTime is how long a server may take to listen.
const startTime = 10 * time.Second

// Command is the argument with which the program is started as a generator.
const Command = "load"

// Marks are called when the measured time begins and ends; nil: not.
type Marks struct{ Begin, End func() }

// line is what a generator prints. The last one has the result.
type line struct {
	Begin  bool    `json:",omitempty"`
	End    bool    `json:",omitempty"` // where the result comes too late
	Result *Result `json:",omitempty"`
}

// Run lets a generator run on host to its end. Ending ctx ends it early, with
// an error.
func Run(ctx context.Context, host *lab.Host, job Job, marks Marks) (Result, error) {
	g, err := launch(host, job)
	if err != nil {
		return Result{}, err
	}
	defer g.close()
	defer context.AfterFunc(ctx, g.process.Kill)()
	r, err := g.follow(marks)
	if err != nil {
		g.process.Kill()
		return Result{}, fmt.Errorf("%s: %w %s", job.Kind, errors.Join(err, ctx.Err()), g.process.Output())
	}
	return r, nil
}

// Serve starts a server on host and waits until it listens. It ends with the
// network.
func Serve(host *lab.Host, addr netip.AddrPort) error {
	g, err := launch(host, Job{Kind: Server, Addr: addr})
	if err != nil {
		return err
	}
	_ = g.lines.SetReadDeadline(time.Now().Add(startTime))
	if _, err := bufio.NewReader(g.lines).ReadString('\n'); err != nil {
		g.process.Kill()
		g.close()
		return fmt.Errorf("serve on %s: %w %s", addr, err, g.process.Output())
	}
	return nil
}

// generator is a running one, seen from its parent.
type generator struct {
	process *lab.Process
	lines   *os.File // what it prints
	stay    *os.File // gets a byte after each of the marks
}

func launch(host *lab.Host, job Job) (*generator, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	lines, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	in, stay, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, lines.Close())
	}
	defer in.Close()
	cmd := exec.Command("/proc/self/exe", Command, string(text)) //nolint:gosec,noctx // this program again; Run ends it
	cmd.Stdin, cmd.Stdout = in, out
	g := &generator{lines: lines, stay: stay}
	if g.process, err = host.Start(cmd); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *generator) close() {
	_ = g.lines.Close()
	_ = g.stay.Close()
}

// follow reads what the generator prints, to its result.
func (g *generator) follow(marks Marks) (Result, error) {
	for dec := json.NewDecoder(g.lines); ; {
		var l line
		if err := dec.Decode(&l); err != nil {
			return Result{}, fmt.Errorf("it ended without a result: %w", err)
		}
		switch {
		case l.Begin:
			g.mark(&marks.Begin)
		case l.End:
			g.mark(&marks.End)
		case l.Result != nil:
			g.mark(&marks.End)
			return *l.Result, nil
		}
	}
}

// mark calls f, once, and tells the generator, if it still wants to know.
func (g *generator) mark(f *func()) {
	if *f != nil {
		(*f)()
		*f = nil
	}
	_, _ = g.stay.Write([]byte{0})
}

// Main is the generator's side: it does the job that the argument tells.
func Main(args []string) error {
	var job Job
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments, want a job", len(args))
	}
	if err := json.Unmarshal([]byte(args[0]), &job); err != nil {
		return err
	}
	run, ok := map[Kind]func(Job, *parent) (Result, error){
		Server: serve, Bulk: bulk, Ping: ping, Pace: pace, Churn: churn, Hold: hold, Check: check,
		WebBulk: webBulk, WebPing: webPing, WebHold: webHold, WebCheck: webCheck,
	}[job.Kind]
	if !ok {
		return fmt.Errorf("there is no generator %q", job.Kind)
	}
	p := &parent{out: os.Stdout, stay: os.Stdin}
	result, err := run(job, p)
	if err != nil {
		return err
	}
	return p.tell(line{Result: &result})
}

// parent is who started this generator.
type parent struct {
	out  io.Writer
	stay io.Reader
}

func (p *parent) tell(l line) error { return json.NewEncoder(p.out).Encode(l) }

// begin tells that the measured time begins.
func (p *parent) begin() error { return p.tell(line{Begin: true}) }

// wait returns when the parent has done what it does at the beginning.
func (p *parent) wait() { _, _ = io.ReadFull(p.stay, make([]byte, 1)) }

// end tells that the measured time is over, in place of the result, and waits
// until the parent has done what it does then: with the connections some relays
// lose what they have used.
func (p *parent) end() error {
	err := p.tell(line{End: true})
	_, _ = io.ReadFull(p.stay, make([]byte, 2)) // the other one was the beginning's
	return err
}
