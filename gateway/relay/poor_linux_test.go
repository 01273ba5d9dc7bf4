package relay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vdi-gateway/gateway/relay"
)

// poor is what endsVar says to a process of a user who holds all the pipes that
// he may.
const poor = "poor"

// A user who has as many pages in pipes as fs.pipe-user-pages-soft allows gets
// pipes of a page or two. Those are of no use: a fast stream is copied.
func TestFastStreamOfAUserWithoutPipePages(t *testing.T) {
	skipCopying(t)
	if os.Getuid() != 0 {
		t.Skip("only root can be another user, and root has no such limit")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args[0] = self
	cmd.Env = append(os.Environ(), endsVar+"="+poor)
	const nobodyID = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: nobodyID, Gid: nobodyID},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "copied" {
		t.Errorf("got %q (%v), want a stream that was copied", out, err)
	}
}

// bePoor takes all pipe pages and relays a fast stream.
func bePoor() error {
	for last := 1 << 20; last > os.Getpagesize()*2; {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return err
		}
		size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, 1<<20)
		if err != nil {
			size, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_GETPIPE_SZ, 0)
		}
		last = size
	}
	held, err := pipes()
	if err != nil {
		return err
	}
	e := relay.New()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = e.Run(ctx) }()
	now, err := fastStream(e)
	if err != nil {
		return err
	}
	if now > held {
		return fmt.Errorf("%d pipe ends more than before", now-held)
	}
	fmt.Println("copied")
	return nil
}

// fastStream relays some megabytes and counts the pipe ends meanwhile.
func fastStream(e *relay.Engine) (most int, err error) {
	const size = 64 << 20
	var legs [2][2]net.Conn
	for i := range legs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		if legs[i][0], err = net.Dial("tcp", l.Addr().String()); err != nil {
			return 0, err
		}
		if legs[i][1], err = l.Accept(); err != nil {
			return 0, err
		}
		_ = l.Close() // both ends are there
	}
	e.Join(legs[0][1], legs[1][1], relay.Options{})
	go func() {
		_, _ = io.CopyN(struct{ io.Writer }{legs[0][0]}, zeroes{}, size)
		_ = legs[0][0].(*net.TCPConn).CloseWrite()
	}()
	got := int64(0)
	for buf := make([]byte, 4<<20); ; {
		n, err := io.ReadFull(legs[1][0], buf)
		got += int64(n)
		now, perr := pipes()
		if perr != nil {
			return 0, perr
		}
		most = max(most, now)
		if err != nil {
			break
		}
	}
	if got != size {
		return 0, fmt.Errorf("got %d of %d bytes", got, size)
	}
	return most, nil
}

// pipes counts the ends of pipes that this process has open.
func pipes() (int, error) {
	list, err := os.ReadDir("/proc/self/fd")
	n := 0
	for _, fd := range list {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n, err
}
