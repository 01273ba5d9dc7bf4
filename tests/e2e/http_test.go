package e2e

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

func TestCurlFetchesFromARealServer(t *testing.T) {
	python, curl := need(t, "python3"), need(t, "curl")
	p := newPlace(t, node.Config{})
	dir, want := t.TempDir(), noise(4<<20)
	if err := os.WriteFile(filepath.Join(dir, "file"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(python, "-m", "http.server", "8080", "--bind", vmAddr, "--directory", dir)
	if _, err := p.vmHost.Start(server); err != nil {
		t.Fatal(err)
	}
	tunnel := openSoon(t, p, node.OpenRequest{VMAddress: vmAddr, VMPort: 8080, Protocol: "tcp", Probe: true})
	got := filepath.Join(t.TempDir(), "got")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	fetch := exec.Command(curl, "-fsS", "--max-time", "25", "-o", got, "http://"+tunnel.Addr().String()+"/file")
	if _, err := p.client.Run(ctx, fetch); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(got); err != nil || !bytes.Equal(text, want) {
		t.Errorf("got %d bytes and %v, want the %d bytes of the file", len(text), err, len(want))
	}
}

// openSoon opens a tunnel as soon as the VM's server is up: before that the
// probe says that nobody answers.
func openSoon(t *testing.T, p *place, r node.OpenRequest) (tunnel node.Tunnel) {
	t.Helper()
	c := p.node.Client(p.client)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var err error
		if tunnel, err = c.Open(t.Context(), r); err == nil {
			return tunnel
		}
		if node.Code(err) != "VM_UNREACHABLE" || time.Now().After(end) {
			t.Fatalf("open_connection: %v", err)
		}
	}
}

// noise is n bytes that are the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}
