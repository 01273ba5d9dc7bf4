package peer

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

const patience = 10 * time.Second

// target is a host that sends back what it gets.
func target(t *testing.T, n *lab.Network) netip.AddrPort {
	t.Helper()
	l, err := n.Host("target", "10.99.0.20/24").Listen("10.99.0.20:9000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestPeersRelay(t *testing.T) {
	for _, kind := range []Kind{HAProxy(), TunedHAProxy(), Nginx()} {
		t.Run(kind.Name, func(t *testing.T) {
			program := strings.TrimSuffix(kind.Name, "_tuned")
			if _, err := find(program); err != nil {
				t.Skip(err)
			}
			n := lab.New(t)
			to := target(t, n)
			r, err := kind.Start(n.Host("relay", "10.99.0.1/24"), to, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			relays(t, n.Host("client", "10.99.0.10/24"), r)
			uses(t, r)
			r.Stop()
		})
	}
}

// relays wants bytes there and back.
func relays(t *testing.T, client *lab.Host, r *Relay) {
	t.Helper()
	c, err := client.Dial(netip.Addr{}, r.Addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	const words = "there and back"
	if _, err := io.WriteString(c, words); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(words))
	if _, err := io.ReadFull(c, got); string(got) != words {
		t.Errorf("got %q and %v, want %q", got, err, words)
	}
}

// uses wants plausible figures of the relay's processes.
func uses(t *testing.T, r *Relay) {
	t.Helper()
	cpu, err := r.CPU()
	if err != nil || cpu <= 0 {
		t.Errorf("processor time: got %s and %v, want some", cpu, err)
	}
	memory, err := r.Memory()
	if err != nil || memory < 1<<20 {
		t.Errorf("memory: got %d and %v, want at least 1 MiB", memory, err)
	}
	files, err := r.Descriptors()
	if err != nil || files < 3 {
		t.Errorf("descriptors: got %d and %v, want at least 3", files, err)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	n := lab.New(t)
	host := n.Host("relay", "10.99.0.1/24")
	broken := Kind{"broken", func(host *lab.Host, _, _ netip.AddrPort, _ string) (process, error) {
		return start(host, "sh", "-c", "echo cannot do it")
	}}
	_, err := broken.Start(host, netip.AddrPort{}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "cannot do it") {
		t.Errorf("got %v, want what the program printed", err)
	}
}
