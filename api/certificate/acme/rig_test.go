package acme

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// logged is a log that tests read.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// member is a node: a Manager, and what it is told of the world.
type member struct {
	*Manager
	dir    string
	log    *logged
	active atomic.Bool
	others []*member // that hear it
}

func newMember(t testing.TB) *member {
	t.Helper()
	n := &member{dir: t.TempDir(), log: &logged{}}
	log := logrus.New()
	log.SetOutput(n.log)
	log.SetLevel(logrus.DebugLevel)
	n.Manager = New(Deps{Dir: n.dir, Active: n.active.Load, Ask: n.ask, Log: log})
	return n
}

func (n *member) ask(ctx context.Context, q Message) (all [][]Folder) {
	for _, o := range n.others {
		if folders, err := o.Receive(ctx, q); err == nil {
			all = append(all, folders)
		}
	}
	return all
}

// run runs the Manager until the test ends.
func (n *member) run(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end")
		}
	})
}

// config has nobody asked: the authority is a port where nobody listens.
func config(t testing.TB) Config {
	t.Helper()
	return Config{
		Enabled: true, Directory: "https://" + freeAddr(t).String() + "/dir", Email: "ops@example.com",
		Name: "desk.example", Listen: freeAddr(t), HTTPS: 8000,
	}
}

func freeAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func (n *member) put(t testing.TB, key, value string) {
	t.Helper()
	if err := n.store.Store(t.Context(), key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func (n *member) get(t testing.TB, key string) string {
	t.Helper()
	value, err := n.store.Load(t.Context(), key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(value)
}

// age sets the time of a value.
func (n *member) age(t testing.TB, key string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(filepath.Join(n.dir, folder, key), at, at); err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}
