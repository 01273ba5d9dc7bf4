package vrrp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// keepalived is a host with a real Keepalived.
type keepalived struct {
	r       *rig
	host    *lab.Host
	process *lab.Process
	folder  string
}

// newKeepalived adds the host; config is the inside of its vrrp_instance.
func (r *rig) newKeepalived(config string, addrs ...string) *keepalived {
	r.t.Helper()
	lab.Need(r.t, "keepalived")
	k := &keepalived{r: r, host: r.network.Host("keepalived", addrs...), folder: r.t.TempDir()}
	text := "global_defs {\n router_id lab\n}\nvrrp_instance lab {\n interface eth0\n state BACKUP\n" + config + "}\n"
	r.try(os.WriteFile(k.path("conf"), []byte(text), 0o600))
	r.t.Cleanup(func() {
		if k.process == nil {
			return
		}
		k.die()
		if r.t.Failed() {
			r.t.Logf("Keepalived's configuration and log:\n%s\n%s", text, k.process.Output())
		}
	})
	return k
}

func (k *keepalived) path(name string) string { return filepath.Join(k.folder, name) }

// launch starts it and does not wait.
func (k *keepalived) launch() {
	k.r.t.Helper()
	cmd := exec.Command("keepalived", "-n", "-l", "-D", "-P", //nolint:noctx // it ends with its host
		"-f", k.path("conf"), "-p", k.path("pid"), "-r", k.path("vrrp.pid"))
	var err error
	k.process, err = k.host.Start(cmd)
	k.r.try(err)
}

// competes waits until it takes part in the election.
func (k *keepalived) competes() {
	k.r.t.Helper()
	eventually(k.r.t, "Keepalived competes for the address", func() bool {
		return strings.Contains(k.process.Output(), "BACKUP STATE") || strings.Contains(k.process.Output(), "MASTER STATE")
	})
}

// die ends all its processes at once, as a power failure of the host does. The address
// goes as well: otherwise it would stay there for ever, for all that Keepalived can do.
func (k *keepalived) die() {
	for _, pid := range append(node.Children(k.process.PID()), k.process.PID()) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			k.r.t.Errorf("kill Keepalived: %v", err)
		}
	}
	_ = k.host.Drop(k.r.virtual) // it may not have had it
	<-k.process.Exited()
	for _, name := range []string{"pid", "vrrp.pid"} {
		_ = os.Remove(k.path(name)) // else it believes to run already
	}
}

// version is what a program calls itself; some say so among their errors.
func version(t testing.TB, command string) string {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(soon(t), command, "--version")
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // what is printed is enough
	line, _, _ := strings.Cut(out.String()+errs.String(), "\n")
	return line
}

// peerConfig is the inside of a vrrp_instance that stands beside a node of ours.
type peerConfig struct {
	version  int
	priority int
	every    time.Duration
	preempt  bool
	virtual  string // with its prefix length
	own      string // in mode unicast
	other    string
}

func (c peerConfig) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, " version %d\n virtual_router_id %d\n priority %d\n advert_int %g\n", c.version, routerID, c.priority, c.every.Seconds())
	fmt.Fprintf(&b, " virtual_ipaddress {\n  %s\n }\n", c.virtual)
	if !c.preempt {
		b.WriteString(" nopreempt\n")
	}
	if c.own != "" {
		// Over IPv6 Keepalived sends with a hop limit of 64 unless told otherwise, which
		// RFC 9568 has everybody discard.
		fmt.Fprintf(&b, " unicast_src_ip %s\n unicast_ttl 255\n unicast_peer {\n  %s\n }\n", c.own, c.other)
	}
	return b.String()
}
