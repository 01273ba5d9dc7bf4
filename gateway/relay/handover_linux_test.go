package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/gateway/relay"
)

// heir is what endsVar says to a process that goes on with pairs.
const heir = "heir"

// parcels sends parcels the way an exec would: as text.
func parcels(t testing.TB, from *relay.Engine) []relay.Parcel {
	t.Helper()
	text, err := json.Marshal(from.Handover())
	if err != nil {
		t.Fatal(err)
	}
	var all []relay.Parcel
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func skipCopying(t testing.TB) {
	t.Helper()
	if os.Getenv(engineVar) != "" {
		t.Skip("copied pairs belong to their process")
	}
}

// flood sends size bytes of a stream of its own, and finishes.
func flood(c *net.TCPConn, name string, size int64) error {
	source := rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%32s", name))))
	if _, err := io.CopyN(c, source, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return c.CloseWrite()
}

// receive wants that stream and its end.
func receive(c *net.TCPConn, name string, size int64) error {
	got, err := io.ReadAll(c)
	want := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%32s", name)))).Read(want)
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("%s: got %d bytes (%w), want the %d that were sent", name, len(got), err, size)
	}
	return nil
}

// Under load, again and again, from engine to engine: not a byte is lost, and
// what was half-closed or stalled before is so afterwards.
func TestHandoverUnderLoad(t *testing.T) {
	skipCopying(t)
	const pairs, times, size = 30, 5, 20 << 20
	engines := []*relay.Engine{running(t), running(t)}
	opt := relay.Options{Tag: "load"}
	failed := make(chan error, 4*pairs)
	var all sync.WaitGroup
	for i := range pairs {
		tun := open(t, engines[0], opt)
		for _, way := range [][2]*net.TCPConn{{tun.client, tun.vm}, {tun.vm, tun.client}} {
			name, n := fmt.Sprintf("%d %s", i, way[0].LocalAddr()), int64(size/(1+i))
			all.Go(func() { failed <- flood(way[0], name, n) })
			all.Go(func() { failed <- receive(way[1], name, n) })
		}
	}
	for i := range times {
		time.Sleep(5 * time.Millisecond) // let it flow, not a wait for something
		from, to := engines[i%2], engines[(i+1)%2]
		for _, p := range parcels(t, from) {
			if p.Tag != "load" {
				t.Errorf("got tag %q, want that of the options", p.Tag)
			}
			if _, err := to.Adopt(p, opt); err != nil {
				t.Fatal(err)
			}
		}
		if from.Len() != 0 {
			t.Errorf("got %d pairs after handing over, want none", from.Len())
		}
	}
	all.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all pairs have ended", func() bool { return engines[0].Len()+engines[1].Len() == 0 })
}

// beHeir adopts the pairs it reads about and serves until its input ends.
func beHeir() error {
	var h struct {
		Door    int
		VM      netip.AddrPort
		Parcels []relay.Parcel
	}
	if err := json.NewDecoder(os.Stdin).Decode(&h); err != nil {
		return err
	}
	e := relay.New()
	go func() { _ = e.Run(context.Background()) }()
	for _, p := range h.Parcels {
		if _, err := e.Adopt(p, relay.Options{}); err != nil {
			return err
		}
	}
	_, err := e.ListenOn(h.Door, relay.DoorOptions{
		Knock: func(relay.Visitor, relay.Pair) *relay.Call { return &relay.Call{To: []netip.AddrPort{h.VM}} },
	})
	if err != nil {
		return err
	}
	fmt.Println("adopted")
	select {}
}

// Another process goes on with the pairs and with the door, and this one is gone
// from them.
func TestHandoverToAnotherProcess(t *testing.T) {
	skipCopying(t)
	e, vm := running(t), echoVM(t)
	door, err := e.Listen(loopback(), relay.DoorOptions{
		Knock: func(relay.Visitor, relay.Pair) *relay.Call { return &relay.Call{To: []netip.AddrPort{vm}} },
	})
	if err != nil {
		t.Fatal(err)
	}
	half, idle := open(t, e, relay.Options{Tag: "half"}), open(t, e, relay.Options{Tag: "idle"})
	pass(t, idle.client, idle.vm, "before")
	_ = half.client.CloseWrite()
	if rest, err := io.ReadAll(half.vm); err != nil || len(rest) != 0 {
		t.Fatalf("got %q (%v), want the end", rest, err)
	}
	giveToHeir(t, e, door, vm)
	pass(t, idle.client, idle.vm, "after")
	pass(t, idle.vm, idle.client, "and back")
	pass(t, half.vm, half.client, "the other way is open")
	_ = half.vm.Close()
	if _, err := half.client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end of the half-closed pair", err)
	}
	c, err := net.Dial("tcp", door.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	pass(t, c, c, "who comes later")
}

// giveToHeir hands all over to a new process, in which descriptors are numbered
// from 3.
func giveToHeir(t *testing.T, e *relay.Engine, door relay.Door, vm netip.AddrPort) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), endsVar+"="+heir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	give := func(fd int) int {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(fd), "handed over"))
		return 2 + len(cmd.ExtraFiles)
	}
	var h struct {
		Door    int
		VM      netip.AddrPort
		Parcels []relay.Parcel
	}
	h.VM = vm
	h.Door = give(e.HandoverDoor(door))
	for _, p := range parcels(t, e) {
		p.Client, p.VM = give(p.Client), give(p.VM)
		h.Parcels = append(h.Parcels, p)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	for _, f := range cmd.ExtraFiles {
		_ = f.Close() // the heir has its own
	}
	if _, err := io.ReadFull(out, make([]byte, len("adopted\n"))); err != nil {
		t.Fatal(err)
	}
}

// Descriptors that are to live through an exec lose the flag that closes them.
func TestInherit(t *testing.T) {
	skipCopying(t)
	e := running(t)
	open(t, e, relay.Options{})
	eventually(t, "it is joined", func() bool { return e.Len() == 1 })
	for _, p := range e.Handover() {
		if err := p.Inherit(); err != nil {
			t.Fatal(err)
		}
		for _, fd := range []int{p.Client, p.VM} {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
				t.Errorf("got flags %#x (%v), want no close-on-exec", flags, err)
			}
			_ = unix.Close(fd)
		}
	}
}
