package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vdi-gateway/tests/lab"
)

const (
	setTime   = 20 * time.Second // for a command on the database
	readyTime = 30 * time.Second // for a node to become ready
	pollEvery = 2 * time.Millisecond
)

// Config of a node. Binary and DB are required.
type Config struct {
	Binary string
	// DB is the database; Prepare makes it when it is not there.
	DB string
	// Settings go over those of a node alone on its host, with APIPort and
	// the range PortStart to PortStop.
	Settings Settings
	// Disk gives the database's folder a file system of its own of that
	// size, such as "1m", which only the node sees and Path reaches.
	Disk string
	// Args are added to those of the command run.
	Args []string
	// Env is added to the environment, as NAME=value.
	Env []string
}

// Node is a running vdi-gateway.
type Node struct {
	Host    *lab.Host
	cfg     Config
	process *lab.Process
	dumped  bool // ended by Goroutines
}

// Start makes the database, starts the node and waits until it is ready.
func Start(host *lab.Host, cfg Config) (*Node, error) {
	if err := Prepare(host, cfg); err != nil {
		return nil, err
	}
	n, err := Launch(host, cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	return n, n.Ready(ctx)
}

// Prepare puts the settings into the database, as an operator does.
func Prepare(host *lab.Host, cfg Config) error {
	if cfg.Disk != "" {
		return nil // Launch does it, on that disk
	}
	document, err := cfg.Settings.document(host)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, cfg.Binary, "settings", "set", "--db", cfg.DB) //nolint:gosec // our own binary
	cmd.Stdin = bytes.NewReader(document)
	_, err = host.Run(ctx, cmd)
	return err
}

// onDisk starts a node on a small disk of its own.
const onDisk = `mount -t tmpfs -o size="$1" tmpfs "$(dirname "$3")" &&
	"$2" settings set --db "$3" && exec "$2" run --db "$3"`

// Launch starts the node and does not wait.
func Launch(host *lab.Host, cfg Config) (*Node, error) {
	cmd := exec.CommandContext(context.Background(), cfg.Binary, append([]string{"run", "--db", cfg.DB}, cfg.Args...)...) //nolint:gosec // our own binary
	if cfg.Disk != "" {
		document, err := cfg.Settings.document(host)
		if err != nil {
			return nil, err
		}
		cmd = exec.CommandContext(context.Background(), "unshare", "--mount", //nolint:gosec // our own binary
			"sh", "-c", onDisk, "sh", cfg.Disk, cfg.Binary, cfg.DB)
		cmd.Stdin = bytes.NewReader(document)
	}
	cmd.Env = append(os.Environ(), cfg.Env...)
	p, err := host.Start(cmd)
	if err != nil {
		return nil, err
	}
	return &Node{Host: host, cfg: cfg, process: p}, nil
}

// Ready waits until the node says that it serves. One that speaks TLS sends the
// request there, and may have any certificate.
func (n *Node) Ready(ctx context.Context) error {
	c := &http.Client{Transport: &http.Transport{
		DialContext: n.Host.DialContext, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // tests look at it
	}}
	for {
		if ok, err := n.answers(ctx, c); ok {
			return n.steers(ctx)
		} else if ctx.Err() != nil {
			return fmt.Errorf("the node does not become ready: %w: %w\n%s", ctx.Err(), err, n.Log())
		}
		select {
		case <-n.process.Exited():
			return fmt.Errorf("the node ended:\n%s", n.Log())
		case <-time.After(pollEvery):
		}
	}
}

// steers tells why the kernel does not move the bytes although it is to: a node that cannot
// have it relays, and tests would say nothing of the kernel.
func (n *Node) steers(ctx context.Context) error {
	if n.cfg.Settings.forwarding() != "kernel" {
		return nil
	}
	_, err := n.Host.Run(ctx, exec.CommandContext(ctx, "nft", "list", "table", "inet", "vdi-gateway"))
	if err != nil {
		return fmt.Errorf("the kernel does not move the bytes: %w\n%s", err, n.Log())
	}
	return nil
}

func (n *Node) answers(ctx context.Context, c *http.Client) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+"/readyz", http.NoBody)
	if err != nil {
		return false, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return false, err
	}
	_ = resp.Body.Close() // the status says all
	return resp.StatusCode == http.StatusOK, nil
}

// URL is where the API is.
func (n *Node) URL() string {
	return "http://" + netip.AddrPortFrom(n.Host.Addr(), APIPort).String()
}

// ClientKey is the node's cli_key.
func (n *Node) ClientKey() string { return clientKey }

// DispatcherKey is the api_key of every node started here.
func DispatcherKey() string { return apiKey }

// Log is what the node printed so far.
func (n *Node) Log() string { return n.process.Output() }

// PID is the node's process.
func (n *Node) PID() int { return n.process.PID() }

// Path is where a file beside the database is for other processes.
func (n *Node) Path(name string) string {
	dir := filepath.Dir(n.cfg.DB)
	if n.cfg.Disk != "" {
		dir = filepath.Join("/proc", strconv.Itoa(n.PID()), "root", dir)
	}
	return filepath.Join(dir, name)
}

// Stop asks the node to end and waits; nil when it ended as it should, or by
// Goroutines before.
func (n *Node) Stop() error {
	if n.dumped {
		return nil
	}
	return n.process.Stop()
}

// Kill ends the node at once.
func (n *Node) Kill() { n.process.Kill() }

// Sockets is how many sockets the node has open.
func (n *Node) Sockets() (int, error) {
	dir := filepath.Join("/proc", strconv.Itoa(n.PID()), "fd")
	list, err := os.ReadDir(dir)
	count := 0
	for _, fd := range list {
		// One that was closed meanwhile has no target.
		if target, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			count++
		}
	}
	return count, err
}

// Goroutines ends the node and returns the stacks of all its goroutines, each
// a text, which Go prints when a program gets SIGQUIT.
func (n *Node) Goroutines() ([]string, error) {
	if err := syscall.Kill(n.PID(), syscall.SIGQUIT); err != nil {
		return nil, err
	}
	select {
	case <-n.process.Exited():
		n.dumped = true
		return stacks(n.Log()), nil
	case <-time.After(setTime):
		return nil, fmt.Errorf("the node did not end by SIGQUIT")
	}
}
