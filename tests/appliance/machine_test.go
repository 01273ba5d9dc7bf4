//go:build e2e

package appliance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

// patience is for what takes a second on a machine that does nothing else.
const patience = 90 * time.Second

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// bare is a root file system with systemd and little else, which machines see as theirs
// and do not change. It is made once and kept.
func bare(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "vdi-gateway-tests", "bookworm-"+runtime.GOARCH)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		t.Fatal(err)
	}
	draft, err := os.MkdirTemp(filepath.Dir(dir), "draft-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(draft)
	made := filepath.Join(draft, "root")
	args := []string{"--quiet", "--variant=minbase", "--include=systemd-sysv,libnss-systemd,iproute2,procps,man-db,bash-completion", "bookworm", made}
	const sources = "/etc/apt/sources.list.d/debian.sources" // of this machine, where it is a Debian
	if _, err := os.Stat(sources); err == nil {
		args = append(args, sources)
	}
	program, err := exec.LookPath("mmdebstrap")
	if err != nil {
		t.Skip("needs mmdebstrap: run tests/install.sh")
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Skipf("a bare Debian cannot be made here: mmdebstrap: %v\n%s", err, out)
	}
	if err := os.Chmod(made, 0o755); err != nil { //nolint:gosec // a root folder is everybody's
		t.Fatal(err)
	}
	if err := os.Rename(made, dir); err != nil && !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.ENOTEMPTY) {
		t.Fatal(err)
	}
	return dir
}

// machine is a booted Debian. What it changes is gone with it.
type machine struct {
	t      *testing.T
	host   *lab.Host
	init   int // the number of its first process
	output *bytes.Buffer
	off    func() // takes its power away
}

// boot starts a machine on a host, which sees the folder as /packages.
func boot(t *testing.T, host *lab.Host, packages string) *machine {
	t.Helper()
	program, err := exec.LookPath("systemd-nspawn")
	if err != nil {
		t.Skip("needs systemd-nspawn: run tests/install.sh")
	}
	m := &machine{t: t, host: host, output: &bytes.Buffer{}}
	cmd := exec.Command(program, "--quiet", "--boot", "--directory="+bare(t), "--volatile=overlay", //nolint:gosec,noctx // ended below
		"--capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_NET_BIND_SERVICE", "--register=no", "--keep-unit",
		"--network-namespace-path="+host.Path(), "--machine="+fmt.Sprintf("vdi-%s-%d", host.Name(), os.Getpid()),
		"--console=pipe", "--bind-ro="+packages+":/packages")
	cmd.Stdout, cmd.Stderr = m.output, m.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // on which it halts the machine
	started := make(chan error)
	ended := make(chan error, 1)
	go func() { // the thread that starts it must stay, or it is taken for dead
		runtime.LockOSThread()
		started <- cmd.Start()
		ended <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	m.off = sync.OnceFunc(func() {
		if m.init != 0 { // all of its processes die with the first, which does not die with nspawn
			_ = syscall.Kill(m.init, syscall.SIGKILL)
		}
		_ = cmd.Process.Kill()
		<-ended
	})
	t.Cleanup(func() {
		m.off()
		if t.Failed() {
			t.Logf("the machine said: %s", m.output)
		}
	})
	m.init = m.first(cmd.Process.Pid, ended)
	m.eventually("a booted machine", func() bool {
		out, _ := m.run("systemctl", "is-system-running")
		return strings.HasPrefix(out, "running") || strings.HasPrefix(out, "degraded")
	})
	return m
}

// first waits for the first process of the machine.
func (m *machine) first(nspawn int, ended chan error) int {
	m.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nspawn, nspawn))
		for _, child := range strings.Fields(string(text)) {
			if comm, _ := os.ReadFile("/proc/" + child + "/comm"); strings.TrimSpace(string(comm)) == "systemd" {
				pid, err := strconv.Atoi(child)
				if err != nil {
					m.t.Fatal(err)
				}
				return pid
			}
		}
		select {
		case err := <-ended:
			ended <- err
			m.t.Skipf("systemd-nspawn cannot boot here: %v: %s", err, m.output)
		default:
		}
	}
	m.t.Fatalf("the machine has no first process: %s", m.output)
	return 0
}

// run runs a command on the machine.
func (m *machine) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	enter := []string{"--target", strconv.Itoa(m.init), "--mount", "--pid", "--net", "--uts", "--ipc", "--"}
	out, err := exec.CommandContext(ctx, "nsenter", append(enter, args...)...).CombinedOutput() //nolint:gosec // the test's words
	return string(out), err
}

// does runs a command that has to succeed.
func (m *machine) does(args ...string) string {
	m.t.Helper()
	out, err := m.run(args...)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s\n%s", strings.Join(args, " "), err, out, m.journal())
	}
	return out
}

// sh runs a script that has to succeed.
func (m *machine) sh(script string) string {
	m.t.Helper()
	return m.does("sh", "-ec", script)
}

func (m *machine) journal() string {
	out, _ := m.run("journalctl", "--unit=vdi-gateway", "--no-pager", "--lines=100")
	return out
}

// property is what systemd knows of the service.
func (m *machine) property(name string) string {
	m.t.Helper()
	return strings.TrimSpace(m.does("systemctl", "show", "--property="+name, "--value", "vdi-gateway"))
}

// holds tells whether the machine has an address.
func (m *machine) holds(a netip.Addr) bool {
	m.t.Helper()
	return strings.Contains(m.does("ip", "-brief", "address"), " "+a.String()+"/")
}

func (m *machine) eventually(what string, f func() bool) {
	m.t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("got no %s within %s\n%s\n%s", what, patience, m.output, m.journal())
		}
	}
}

// reads tells whether the journal of the service has all words in one line.
func (m *machine) reads(words ...string) bool {
	out, _ := m.run("journalctl", "--unit=vdi-gateway", "--no-pager")
	for line := range strings.Lines(out) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return true
		}
	}
	return false
}

// copyIn puts a file of this machine's onto the other.
func (m *machine) copyIn(from, to string) {
	m.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/root%s", m.init, to), text, 0o600); err != nil {
		m.t.Fatal(err)
	}
}
