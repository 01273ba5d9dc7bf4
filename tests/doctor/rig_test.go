package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	patience = 30 * time.Second // for what takes a second or two
	virtual  = "10.99.0.100"
	routerID = 51
)

// rig is two hosts of a cluster; their nodes run once they are started.
type rig struct {
	t       *testing.T
	network *lab.Network
	hosts   []*lab.Host
	configs []node.Config
	nodes   []*node.Node
}

func newRig(t *testing.T, over node.Settings) *rig {
	t.Helper()
	t.Parallel()
	r := &rig{t: t, network: lab.New(t)}
	for i, addr := range []string{"10.99.0.1", "10.99.0.2"} {
		settings := node.Settings{
			"internal_addrs": []string{"10.99.0.1", "10.99.0.2"}, "virtual_addr": virtual,
			"vrrp": map[string]any{"version": 3, "router_id": routerID, "advert_ms": 300}, "limits": map[string]any{"max_connections": 1000},
		}
		maps.Copy(settings, over)
		r.hosts = append(r.hosts, r.network.Host(fmt.Sprintf("node%d", i+1), addr+"/24", fmt.Sprintf("fd99::%d/64", i+1)))
		r.configs = append(r.configs, node.Config{
			Binary: node.Binary(), Settings: settings, DB: filepath.Join(t.TempDir(), "settings.db"),
		})
		r.nodes = append(r.nodes, nil)
		r.try(node.Prepare(r.hosts[i], r.configs[i]))
	}
	return r
}

// start starts both nodes and waits until the first has the address and both know it.
func (r *rig) start() *rig {
	r.t.Helper()
	for i := range r.hosts {
		r.launch(i)
	}
	r.eventually("the nodes agree who is active", func() bool { return r.role(0) == "active" && r.role(1) == "backup" && r.together() })
	return r
}

func (r *rig) launch(i int) {
	r.t.Helper()
	var err error
	r.nodes[i], err = node.Launch(r.hosts[i], r.configs[i])
	r.try(err)
	n := r.nodes[i]
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("log of node %d:\n%s", i+1, n.Log())
		}
	})
	r.try(n.Ready(r.soon()))
}

// health is what doctors ask for too.
type health struct {
	Status  string
	Role    string
	Cluster []struct{ Alive bool }
}

func (r *rig) health(i int) (h health) {
	d := r.nodes[i].Dispatcher()
	defer d.Close()
	if r.configs[i].Settings["ssl"] == true {
		d = d.Secure(&tls.Config{InsecureSkipVerify: true})
	}
	if err := d.Call(r.soon(), "GET", "/v3/health/", nil, &h); err != nil {
		return health{}
	}
	return h
}

func (r *rig) role(i int) string { return r.health(i).Role }

func (r *rig) together() bool {
	for i := range r.nodes {
		h := r.health(i)
		if h.Status != "ok" || len(h.Cluster) != 2 || !h.Cluster[0].Alive || !h.Cluster[1].Alive {
			return false
		}
	}
	return true
}

// diagnosis is what the command prints, and the status it ends with.
type diagnosis struct {
	Result string
	PID    int
	Checks []finding
	status int
	text   string
}

type finding struct{ Name, Level, Found, Do string }

// String is all that was found, for a test that fails.
func (d diagnosis) String() string {
	var b strings.Builder
	for _, c := range d.Checks {
		fmt.Fprintf(&b, "%s %s: %s -> %s\n", c.Level, c.Name, c.Found, c.Do)
	}
	return b.String()
}

// doctor looks at a host.
func (r *rig) doctor(i int, args ...string) (d diagnosis) {
	r.t.Helper()
	return r.run(i, exec.CommandContext(r.soon(), node.Binary(), append([]string{"doctor", "--json", "--db", r.configs[i].DB}, args...)...))
}

func (r *rig) run(i int, cmd *exec.Cmd) (d diagnosis) {
	r.t.Helper()
	var err error
	d.text, err = r.hosts[i].Run(r.soon(), cmd)
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		d.status = ended.ExitCode()
	} else {
		r.try(err)
	}
	if err := json.NewDecoder(strings.NewReader(d.text)).Decode(&d); err != nil {
		r.t.Fatalf("%v in:\n%s", err, d.text)
	}
	return d
}

// wants fails unless there is a finding of this level with all these words.
func (r *rig) wants(d diagnosis, name, level string, words ...string) {
	r.t.Helper()
	for _, c := range d.Checks {
		lacks := func(w string) bool { return !strings.Contains(c.Found, w) && !strings.Contains(c.Do, w) }
		if c.Name == name && c.Level == level && !slices.ContainsFunc(words, lacks) && (level == "ok" || c.Do != "") {
			return
		}
	}
	r.t.Errorf("there is no %s of %s with %q, and what to do, in:\n%s", level, name, words, d)
}

// fine fails when something is found beside what is excepted.
func (r *rig) fine(d diagnosis, except ...string) {
	r.t.Helper()
	for _, c := range d.Checks {
		if c.Level != "ok" && !slices.Contains(except, c.Name) {
			r.t.Errorf("got %s of %s: %s, want ok", c.Level, c.Name, c.Found)
		}
	}
}

func (r *rig) ends(d diagnosis, status int, result string) {
	r.t.Helper()
	if d.status != status || d.Result != result {
		r.t.Errorf("got exit status %d and %q, want %d and %q", d.status, d.Result, status, result)
	}
}

// sh runs a command of a shell on a host.
func (r *rig) sh(i int, command string) {
	r.t.Helper()
	_, err := r.hosts[i].Run(r.soon(), exec.CommandContext(r.soon(), "sh", "-ec", command))
	r.try(err)
}

// stranger adds a host of somebody else.
func (r *rig) stranger(addrs ...string) *lab.Host { return r.network.Host("stranger", addrs...) }

func (r *rig) keepalived(h *lab.Host, inside string) {
	r.t.Helper()
	if _, err := exec.LookPath("keepalived"); err != nil {
		r.t.Skip("keepalived is not installed")
	}
	folder := r.t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	text := "vrrp_instance other {\n interface eth0\n state BACKUP\n" + inside + "\n}\n"
	r.try(os.WriteFile(path("conf"), []byte(text), 0o600))
	p, err := h.Start(exec.CommandContext(r.t.Context(), "keepalived", "-n", "-l", "-D", "-P", "-f", path("conf"), "-p", path("pid"), "-r", path("vrrp.pid")))
	r.try(err)
	r.eventually("Keepalived is master", func() bool { return strings.Contains(p.Output(), "MASTER STATE") })
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

func (r *rig) soon() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) try(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }
