package relay_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// The last bytes and the end of a stream often come as one event: whoever
// stops reading after a short read never meets the end.
func TestEndThatComesWithTheLastBytes(t *testing.T) {
	e := running(t)
	for i := range 300 {
		tun := open(t, e, relay.Options{})
		if _, err := io.WriteString(tun.client, "last words"); err != nil {
			t.Fatal(err)
		}
		_ = tun.client.CloseWrite()
		got, err := io.ReadAll(tun.vm)
		if err != nil || string(got) != "last words" {
			t.Fatalf("round %d: got %q (%v), want the last words and the end", i, got, err)
		}
		tun.vm.Close()
		tun.client.Close()
		tun.result()
	}
}

// A VM that reads nothing holds up its client, not the other direction, and
// makes the relay hold no more than a buffer.
func TestPeerThatNeverReads(t *testing.T) {
	e := running(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const pairs = 50
	for range pairs {
		tun := open(t, e, relay.Options{})
		_ = tun.client.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		flood := make([]byte, 1<<20)
		for {
			if _, err := tun.client.Write(flood); err != nil {
				break // the pipeline is full
			}
		}
		pass(t, tun.vm, tun.client, "the other way is free")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown, most := int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(pairs*512<<10); grown > most {
		t.Errorf("got %d bytes held for %d stalled pairs, want at most %d", grown, pairs, most)
	}
}

// settleDescriptors waits until what only waits to be closed is: the runtime
// drops the pipes it keeps for splicing two collections later. There is none
// from then on, until the test has ended.
func settleDescriptors(t testing.TB) {
	t.Helper()
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	was, same := -1, 0
	eventually(t, "the descriptors to settle", func() bool {
		runtime.GC()
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc: ", err)
		}
		if same++; len(list) != was {
			was, same = len(list), 0
		}
		return same == 5
	})
}

// noDescriptors leaves the process spare descriptors until restore is called.
func noDescriptors(t testing.TB, spare int) (restore func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	settleDescriptors(t)
	now := syscall.Rlimit{Cur: 1024, Max: was.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	var hogs []int
	for {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		hogs = append(hogs, fd)
	}
	for ; spare > 0; spare-- {
		_ = syscall.Close(hogs[0])
		hogs = hogs[1:]
	}
	var once sync.Once
	restore = func() {
		once.Do(func() {
			for _, fd := range hogs {
				_ = syscall.Close(fd)
			}
			_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
		})
	}
	t.Cleanup(restore)
	return restore
}

// A fast stream without a pipe is copied.
func TestFastStreamWithoutPipes(t *testing.T) {
	tun := open(t, running(t), relay.Options{})
	restore := noDescriptors(t, 0)
	const size = 32 << 20
	go func() {
		_, _ = io.CopyN(tun.client, zeroes{}, size)
		_ = tun.client.CloseWrite()
	}()
	n, err := io.Copy(io.Discard, tun.vm)
	restore()
	if n != size || err != nil {
		t.Errorf("got %d bytes (%v), want %d", n, err, size)
	}
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// Without descriptors a door rests, says so, burns no time, and takes in who
// waited as soon as there are some again.
func TestDoorWithoutDescriptors(t *testing.T) {
	e, vm := running(t), echoVM(t)
	var starved atomic.Int32
	d, err := e.Listen(loopback(), relay.DoorOptions{
		Knock:   func(relay.Visitor, relay.Pair) *relay.Call { return &relay.Call{To: []netip.AddrPort{vm}} },
		Starved: func(error) { starved.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	restore := noDescriptors(t, 1) // the client's own
	c, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		restore()
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "the door is starved", func() bool { return starved.Load() > 0 })
	before, started := cpuTime(t), time.Now()
	eventually(t, "it is tried again", func() bool { return starved.Load() > 3 })
	if used, passed := cpuTime(t)-before, time.Since(started); used > passed/2 {
		t.Errorf("got %s of processor time in %s, want a door that rests", used, passed)
	}
	restore()
	_ = c.SetDeadline(time.Now().Add(patience))
	pass(t, c, c, "at last")
}

func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
