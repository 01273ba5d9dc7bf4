package peer

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/lab"
)

const (
	// port is where every relay listens.
	port = 443
	// startTime bounds a relay's start.
	startTime = 10 * time.Second
	pollEvery = 5 * time.Millisecond
)

// Kind of relay.
type Kind struct {
	Name string
	run  func(host *lab.Host, listen, target netip.AddrPort, dir string) (process, error)
}

// process is a running program: a *lab.Process or a *node.Node.
type process interface {
	PID() int
	Output() string
	Stop() error
}

// Relay is a running relay.
type Relay struct {
	Addr    netip.AddrPort // where it listens
	process process
}

// Start starts a relay on host that passes everything on to target, and waits
// until it listens. It keeps its files in dir, which must be empty or its own
// from before.
func (k Kind) Start(host *lab.Host, target netip.AddrPort, dir string) (*Relay, error) {
	listen := netip.AddrPortFrom(host.Addr(), port)
	p, err := k.run(host, listen, target, dir)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", k.Name, err)
	}
	if err := listens(host, listen, p.PID()); err != nil {
		_ = p.Stop() // it never worked
		return nil, fmt.Errorf("start %s: %w %s", k.Name, err, strings.Join(strings.Fields(p.Output()), " "))
	}
	return &Relay{Addr: listen, process: p}, nil
}

// Stop ends the relay and waits for that.
func (r *Relay) Stop() { _ = r.process.Stop() } // peers have exit codes of their own for it

// listens waits until addr accepts, or the process that should do so has ended.
func listens(host *lab.Host, addr netip.AddrPort, pid int) error {
	until := time.Now().Add(startTime)
	for {
		conn, err := host.Dial(netip.Addr{}, addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		if ended := unix.Kill(pid, 0); ended != nil || time.Now().After(until) {
			return err
		}
		time.Sleep(pollEvery)
	}
}

// start runs a program of the system on host.
func start(host *lab.Host, name string, args ...string) (process, error) {
	path, err := find(name)
	if err != nil {
		return nil, err
	}
	p, err := host.Start(exec.Command(path, args...)) //nolint:gosec,noctx // a peer; it ends with the network
	if err != nil {
		return nil, err
	}
	return p, nil
}

// find looks where daemons are as well, which is not on everybody's path.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		return "", fmt.Errorf("%s is not installed (tests/install.sh installs it)", name)
	}
	return path, nil
}

// version is the first line of what a program says about itself.
func version(name, option string) string {
	path, err := find(name)
	if err != nil {
		return "no " + name
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, option).CombinedOutput() //nolint:gosec // a peer
	if err != nil {
		return name
	}
	text, _, _ := strings.Cut(string(out), "\n")
	return text
}
