package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/vrrp"
)

func TestWhatIsToldNext(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	extend := "EXTEND_TIMEOUT_USEC=60000000"
	up := told{ready: true, text: "0 sessions", textAt: start, pulses: 7, extended: start}
	for _, tt := range []struct {
		name  string
		was   told
		now   situation
		after time.Duration
		want  []string
	}{
		{"it has just started", told{}, situation{text: "not serving"}, 0, []string{extend, "STATUS=not serving"}},
		{"it still starts", told{text: "a", textAt: start, extended: start}, situation{text: "a"}, time.Second, nil},
		{"it starts for long", told{text: "a", textAt: start, extended: start}, situation{text: "a"}, extendEvery, []string{extend}},
		{"it is ready", told{text: "a", textAt: start, extended: start}, situation{ready: true, text: "b"}, 0, []string{"READY=1", "STATUS=b"}},
		{"nothing new", up, situation{ready: true, text: "0 sessions", pulses: 7}, time.Hour, nil},
		{"it cannot serve any more", up, situation{text: "not serving", pulses: 7}, time.Hour, []string{"STATUS=not serving"}},
		{"a change too soon", up, situation{ready: true, text: "1 session", pulses: 7}, statusEvery - 1, nil},
		{"a change", up, situation{ready: true, text: "1 session", pulses: 7}, statusEvery, []string{"STATUS=1 session"}},
		{"a pulse", up, situation{ready: true, text: "0 sessions", pulses: 8}, 0, []string{"WATCHDOG=1"}},
		{"it stops", up, situation{ready: true, stopping: true, text: "stopping", pulses: 7}, 0, []string{"STOPPING=1", "STATUS=stopping"}},
		{"it stops before it was ready", told{extended: start}, situation{stopping: true, text: "stopping"}, time.Hour, []string{"STOPPING=1", "STATUS=stopping"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next, got := tt.was.next(tt.now, start.Add(tt.after))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if _, again := next.next(tt.now, start.Add(tt.after)); len(again) > 0 {
				t.Errorf("the same once more: got %q, want nothing", again)
			}
		})
	}
}

func TestTheLineForPeople(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.Local)
	since := now.Add(-58 * time.Minute)
	for _, tt := range []struct {
		name string
		o    outlook
		want string
	}{
		{"active", outlook{serving: true, enabled: true, role: vrrp.RoleActive, since: since, sessions: 812, alive: 3, nodes: 3}, "active since 14:02, 812 sessions, 3 of 3 nodes"},
		{"backup since another day", outlook{serving: true, enabled: true, role: vrrp.RoleBackup, since: now.Add(-24 * time.Hour), alive: 1, nodes: 2}, "backup since 2026-01-01 15:00, 0 sessions, 1 of 2 nodes"},
		{"alone", outlook{serving: true, enabled: true, role: vrrp.RoleNone, sessions: 1, alive: 1, nodes: 1}, "1 session"},
		{"draining", outlook{serving: true, enabled: true, role: vrrp.RoleNone, sessions: 2, draining: true}, "2 sessions, draining"},
		{"not serving, for two reasons", outlook{enabled: true, why: "setup: a\nb"}, "not serving: setup: a; b"},
		{"not looked at yet", outlook{enabled: true}, "not serving: this node is starting"},
		{"disabled", outlook{why: "x"}, "disabled: is_enabled is false in the settings"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.o.text(now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWhoAnswers(t *testing.T) {
	type parts = map[string]func(context.Context) error
	hangs := make(chan struct{})
	t.Cleanup(func() { close(hangs) })
	well := func(context.Context) error { return nil }
	for _, tt := range []struct {
		name  string
		parts parts
		want  string // "": all
	}{
		{"all", parts{"a": well, "b": well}, ""},
		{"one answers with an error", parts{"a": well, "b": func(context.Context) error { return errors.New("no address") }}, ""},
		{"one hangs", parts{"a": well, "b": func(context.Context) error { <-hangs; return nil }}, "b: "},
		{"one obeys the deadline", parts{"a": well, "b": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}, "b: "},
		{"packets are dropped", parts{"b": func(context.Context) error { return &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded} }}, ""},
		{"one is late on the wire", parts{"b": func(context.Context) error { return &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded} }}, "b: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limit := testPatience
			if tt.want != "" {
				limit = 10 * time.Millisecond
			}
			got := ""
			if err := allAnswer(t.Context(), limit, tt.parts); err != nil {
				got = err.Error()
			}
			if (tt.want == "") != (got == "") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// manager is a socket that hears what a service tells systemd.
type manager struct {
	mu    sync.Mutex
	lines []string
}

// listenAsManager has programs started from here on tell a socket of the test.
func listenAsManager(t *testing.T, watchdog string) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", watchdog)
	m := &manager{}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		text := make([]byte, 4096)
		for {
			n, err := c.Read(text)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.lines = append(m.lines, strings.Split(string(text[:n]), "\n")...)
			m.mu.Unlock()
		}
	}()
	return m
}

// told are the lines that begin so.
func (m *manager) told(prefix string) (found []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.lines {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

func (m *manager) hears(t *testing.T, what string) {
	t.Helper()
	if !holds(func() bool { return len(m.told(what)) > 0 }) {
		t.Fatalf("got %q, want %q among it", m.told(""), what)
	}
}

func TestANodeTellsItsServiceManager(t *testing.T) {
	m := listenAsManager(t, "600000") // six pulses in 600 ms
	n := startNode(t, nil)
	m.hears(t, "READY=1")
	m.hears(t, "WATCHDOG=1")
	m.hears(t, "STATUS=0 sessions")
	if got := m.told("STOPPING"); len(got) > 0 {
		t.Errorf("got %q, want a node that runs", m.told(""))
	}
	signalTo(t, n, syscall.SIGTERM)
	m.hears(t, "STOPPING=1")
	m.hears(t, "STATUS=stopping")
	if got := m.told("READY"); len(got) != 1 {
		t.Errorf("got %q, want readiness told once", got)
	}
}

func TestANodeThatHangsFeedsNoWatchdog(t *testing.T) {
	m := listenAsManager(t, "600000")
	n := startNode(t, nil)
	m.hears(t, "WATCHDOG=1")
	signalTo(t, n, syscall.SIGSTOP)
	if !holds(func() bool { return stopped(n.cmd.Process.Pid) }) {
		t.Fatal("the node does not stop")
	}
	before := len(m.told("WATCHDOG=1"))
	time.Sleep(700 * time.Millisecond) // that it is silent cannot be waited for otherwise
	if after := len(m.told("WATCHDOG=1")); after > before+1 {
		t.Errorf("got %d pulses of a process that stands still, want none", after-before)
	}
	signalTo(t, n, syscall.SIGCONT)
	if !holds(func() bool { return len(m.told("WATCHDOG=1")) > before+1 }) {
		t.Error("got no pulse after it went on")
	}
}

// stopped tells whether a process stands still.
func stopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") T ")
}

// A node that cannot serve is not ready, and asks for time to find out that it can.
func TestANodeThatCannotServeIsNotReady(t *testing.T) {
	m := listenAsManager(t, "")
	own := loopback(t.Name())
	elsewhere := loopback(t.Name() + " elsewhere")
	n := launch(t, newDatabase(t, testSettings(t, own, nil)), own, "--node", elsewhere.String())
	m.hears(t, "EXTEND_TIMEOUT_USEC=")
	m.hears(t, "STATUS=not serving: setup: --node")
	if got := m.told("READY"); len(got) > 0 {
		t.Errorf("got %q, want no node that serves", got)
	}
	signalTo(t, n, syscall.SIGTERM)
	m.hears(t, "STOPPING=1")
}

// A node that its settings have disabled is what they say.
func TestADisabledNodeIsReady(t *testing.T) {
	m := listenAsManager(t, "")
	own := loopback(t.Name())
	launch(t, newDatabase(t, testSettings(t, own, keys{"is_enabled": false})), own)
	m.hears(t, "READY=1")
	m.hears(t, "STATUS=disabled")
}

func signalTo(t *testing.T, n *child, s syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
