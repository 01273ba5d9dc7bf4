package kernel

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

const (
	// dead is how long a node alone is without its daemon.
	dead = 2 * time.Second
	// unsteered is how much longer than usual a pause may be while the daemon is killed and
	// comes back. The aim is 50 ms; the rest is for machines that are busy otherwise.
	unsteered = 500 * time.Millisecond
	// ending is what disconnect may take until both ends know.
	ending = 3 * time.Second
)

// steady wants nobody to have noticed that the daemon was away.
func (c *crowd) steady(what string) {
	c.r.t.Helper()
	pause, stalled := c.pauses(what), c.r.stalls.longest()
	if pause > pace+unsteered+stalled {
		c.r.t.Errorf("%s: got a pause of %s while this process stood still for %s, want %s at most", what, pause, stalled, pace+unsteered)
	}
}

// die kills the daemon of a node alone and starts a binary in its place; meanwhile sessions
// go on.
func (c *crowd) die(binary string) {
	c.r.t.Helper()
	m := c.r.nodes[0]
	c.pauses("before")
	c.r.stalls.longest()
	m.signal(syscall.SIGKILL, m.node.PID())
	m.node.Kill() // waits for the end
	until := time.Now().Add(dead)
	c.goOn("without a daemon")
	for time.Now().Before(until) {
		time.Sleep(pollEvery)
	}
	c.steady("without a daemon")
	m.config.Binary = binary
	m.launch()
	m.ready()
	c.goOn("with another daemon")
	c.steady("with another daemon")
	c.shown(m)
}

// A node alone keeps its table: sessions do not notice that the daemon is killed, and the
// next one adopts them.
func TestDaemonOfANodeAloneIsKilled(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{flat: true, alone: true})
	c := r.crowd(many)
	c.goOn("begun")
	c.die(node.Binary())
	c.die(node.Binary()) // adopted twice
	m := r.nodes[0]
	doomed := c.all[:2*int(manners)]
	m.disconnect(doomed...)
	r.wantReset(doomed, ending)
	for _, s := range doomed {
		r.closed(s, "admin")
	}
	c.goOn("some are disconnected")
	c.grow(int(manners)) // new ones begin as ever
	c.finish()
	c.once()
}

// An upgrade is another binary on the same database.
func TestUpgradeOfANodeAlone(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{flat: true, alone: true})
	c := r.crowd(many)
	c.goOn("begun")
	binary := filepath.Join(t.TempDir(), "vdi-gateway")
	r.try(clone(node.Binary(), binary))
	c.die(binary)
	c.finish()
	c.once()
}

// clone copies a program.
func clone(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// The original ends its sessions when it is restarted, and so does a node alone that is
// stopped on purpose.
func TestStopOfANodeAloneEndsSessions(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{flat: true, alone: true})
	c := r.crowd(2 * int(manners))
	c.goOn("begun")
	r.try(r.nodes[0].node.Stop())
	r.wantReset(c.all, ending)
	for _, s := range c.all {
		r.closed(s, "shutdown")
	}
}
