package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/settingsdb"
)

// Ports of every node of these tests: each has a loopback address of its own.
const (
	testAPIPort  = 18000
	testService  = 18001
	testMoved    = 18002
	testFirst    = 18100
	testLast     = 18199
	testPatience = 20 * time.Second // for what takes milliseconds
)

// Keys of every node of these tests.
const (
	testAPIKey     = "dispatcher-0123456789-abcdefghij"
	testCLIKey     = "client-9876543210-jihgfedcba-xyz"
	testClusterKey = "cluster-5555566666-qwertzuiopasd"
)

// keys of a settings document.
type keys map[string]any

// loopback is an address for whoever is called name in this process.
func loopback(name string) netip.Addr {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", os.Getpid(), name))
	return netip.AddrFrom4([4]byte{127, 64 + sum[0]%64, sum[1], 1 + sum[2]%254})
}

// testSettings is a valid document of a node alone on own: everything on
// loopback may be reached without a ticket as often as wanted.
func testSettings(tb testing.TB, own netip.Addr, over keys) settingsdb.Settings {
	tb.Helper()
	fresh, err := settingsdb.Fresh(own)
	if err != nil {
		tb.Fatal(err)
	}
	for _, document := range []keys{{
		"listen_ip": own.String(), "api_port": testAPIPort, "service_port": testService,
		"port_range_start": testFirst, "port_range_stop": testLast,
		"api_key": testAPIKey, "cli_key": testCLIKey, "cluster_key": testClusterKey,
		"limits": keys{"open_per_client_per_s": 0},
		"targets": keys{
			"allow": []keys{{"cidr": "127.0.0.1/32"}}, "ports": []string{"1-65535"}, "require_ticket": false,
		},
	}, over} {
		if document == nil {
			continue
		}
		var problems settingsdb.Problems
		if fresh, problems = settingsdb.Revise(fresh, toJSON(tb, document)); len(problems) > 0 {
			tb.Fatal(problems)
		}
	}
	return fresh
}

// quickRace lets a program under the race detector end at once, not a second
// later.
const quickRace = "GORACE=atexit_sleep_ms=20"

// child is a node running as a process of its own.
type child struct {
	db     string
	addr   netip.Addr
	cmd    *exec.Cmd
	log    *lockedBuffer
	exited chan struct{}
	code   int // after exited is closed
}

// newDatabase makes a settings database for one node and returns its path.
func newDatabase(tb testing.TB, s settingsdb.Settings) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "settings.db")
	store, err := settingsdb.Create(path, s, "test")
	if err != nil {
		tb.Fatal(err)
	}
	if err := store.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

// startNode starts a node with a new database and waits until it serves.
func startNode(tb testing.TB, over keys) *child {
	tb.Helper()
	own := loopback(tb.Name())
	n := launch(tb, newDatabase(tb, testSettings(tb, own, over)), own)
	n.waitReady(tb)
	return n
}

// launch starts a node on a database and does not wait.
func launch(tb testing.TB, db string, addr netip.Addr, args ...string) *child {
	tb.Helper()
	n := &child{db: db, addr: addr, log: &lockedBuffer{}, exited: make(chan struct{})}
	n.cmd = exec.CommandContext(context.Background(), "vdi-gateway", append([]string{"run", "--db", db}, args...)...)
	n.cmd.Env = append(os.Environ(), quickRace)
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = n.cmd.Wait() // the exit code says all
		n.code = n.cmd.ProcessState.ExitCode()
		close(n.exited)
	}()
	tb.Cleanup(func() {
		n.kill()
		for _, race := range races(n.log.String()) {
			tb.Errorf("the node races:\n%s", race)
		}
		if tb.Failed() {
			lines := strings.SplitAfter(n.log.String(), "\n")
			tb.Logf("end of the log of the node on %s:\n%s", addr, strings.Join(lines[max(0, len(lines)-50):], ""))
		}
	})
	return n
}

// races are what the race detector reports in a log. memberlist v0.7.0 reads the
// protocol version of a node while it is told of it, one byte that is always the
// same: that is left out.
func races(log string) (reports []string) {
	const bar = "=================="
	for report := range strings.SplitSeq(log, bar) {
		if strings.Contains(report, "WARNING: DATA RACE") && !strings.Contains(report, "memberlist.(*Memberlist).rawSendMsgPacket") {
			reports = append(reports, report)
		}
	}
	return reports
}

// kill ends the node at once.
func (n *child) kill() {
	_ = n.cmd.Process.Kill() // it may have ended
	<-n.exited
}

// stop asks the node to end and returns how long that took.
func (n *child) stop(tb testing.TB) time.Duration {
	tb.Helper()
	began := time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatal(err)
	}
	n.waitExit(tb)
	return time.Since(began)
}

func (n *child) waitExit(tb testing.TB) {
	tb.Helper()
	select {
	case <-n.exited:
	case <-time.After(testPatience):
		tb.Fatal("the node does not end")
	}
}

// again starts a node on the same database after this one has ended.
func (n *child) again(tb testing.TB) *child {
	tb.Helper()
	next := launch(tb, n.db, n.addr)
	next.waitAlive(tb)
	return next
}

func (n *child) waitReady(tb testing.TB) { n.waitFor(tb, "/readyz") }
func (n *child) waitAlive(tb testing.TB) { n.waitFor(tb, "/livez") }

func (n *child) waitFor(tb testing.TB, path string) {
	tb.Helper()
	eventually(tb, path+" is 200", func() bool {
		select {
		case <-n.exited:
			tb.Fatalf("the node ended with code %d", n.code)
		default:
		}
		r, err := n.try(call{path: path})
		return err == nil && r.status == 200
	})
}

// descriptors is how many files and sockets the node has open.
func (n *child) descriptors(tb testing.TB) int {
	tb.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	return len(list)
}

// memory is the node's resident set in bytes.
func (n *child) memory(tb testing.TB) int64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	fields := bytes.Fields(text)
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// eventually waits until ok holds.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	if !holds(ok) {
		tb.Fatalf("after %s still not: %s", testPatience, what)
	}
}

// holds polls until ok holds; false when it does not in good time.
func holds(ok func() bool) bool {
	for deadline := time.Now().Add(testPatience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

// startVM is a machine that echoes; it listens on 127.0.0.1 until the test ends.
func startVM(tb testing.TB) *net.TCPAddr {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // what is lost shows at the other end
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr)
}
