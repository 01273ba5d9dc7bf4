package e2e

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/tests/node"
)

func TestAFullDiskKeepsSettingsAndSessions(t *testing.T) {
	need(t, "unshare")
	p := newPlace(t, node.Config{Disk: "1m"})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	c, _ := talk(t, p, v.addr)
	d := p.node.Dispatcher()
	filler := fillUp(t, p.node.Path("filler"))

	before, err := d.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Space that the database has already can be used for a while.
	var refused error
	for i := 0; refused == nil && i < 5000; i++ {
		_, refused = d.Change(t.Context(), node.Settings{"disp_port": 10_000 + i})
		if refused == nil {
			before["disp_port"] = float64(10_000 + i)
		}
	}
	var answer *node.Refusal
	if !errors.As(refused, &answer) || node.Code(refused) != "NODE_REJECTED" {
		t.Fatalf("change_settings: got %v, want NODE_REJECTED", refused)
	}
	wantIn(t, answer.Errors[0].Message, "the disk is full;")
	after, err := d.Settings(t.Context())
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("settings afterwards: got %v and (-before +after):\n%s", err, diff)
	}
	if err := echoes(c); err != nil {
		t.Errorf("the session: got %v, want it to go on", err)
	}
	talk(t, p, v.addr) // new ones are possible, too

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Change(t.Context(), node.Settings{"disp_port": 20_000}); err != nil {
		t.Errorf("with space again: got %v, want nil", err)
	}
}

// fillUp leaves no free byte on the disk of file.
func fillUp(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: got %v, want ENOSPC", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}
