package acme

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A disk that is full when the certificate is due: the authority is not asked for one
// that could not be kept, the one that is there stays, and its successor comes with room.
func TestAFullDisk(t *testing.T) {
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("unshare is not installed")
	}
	r := newRig(t, 1)
	r.configs[0].Disk = "1m"
	r.authority.validity = 45 * time.Second
	r.authority.start()
	r.start()
	first := r.served("the first certificate", nil)
	filler := r.nodes[0].Path("filler")
	fillUp(t, filler)
	r.says(0, "acme", false, "could not be kept", "no space left on device", "next try at")
	if c, err := shown(r.client, r.api, nil); err != nil || !c.Equal(first) {
		t.Errorf("meanwhile: got %v, %v, want the first one", c, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	second := r.served("its successor", first)
	if !second.NotBefore.Before(first.NotAfter) {
		t.Errorf("got a successor from %s on, want one before %s", second.NotBefore, first.NotAfter)
	}
	r.says(0, "acme", true)
}

// fillUp leaves no free byte on the disk of a new file.
func fillUp(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: got %v, want ENOSPC", err)
	}
}
