package relay_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// endsVar makes the test binary the far ends of a crowd instead: "vm", or the
// address of the door for the clients. Each end has descriptors of its own, as a
// process may not have enough for all.
const endsVar = "VDI_GATEWAY_TEST_ENDS"

const (
	crowd      = 8000
	crowdBytes = 2000 // of each connection, both ways
	crowdTime  = 60 * time.Second
)

// beEnds is what the test binary does as one end of a crowd.
func beEnds(what string) error {
	switch what {
	case "vm":
		return beVM()
	case poor:
		return bePoor()
	case heir:
		return beHeir()
	}
	var conns []net.Conn
	for range crowd {
		c, err := net.Dial("tcp", what)
		if err != nil {
			return err
		}
		conns = append(conns, c)
	}
	fmt.Println("connected")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	failed := make(chan error, crowd)
	var all sync.WaitGroup
	for i, c := range conns {
		all.Go(func() { failed <- exchange(c, i) })
	}
	all.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	fmt.Println("exchanged")
	return nil
}

// exchange sends bytes that no other connection has and wants them back.
func exchange(c net.Conn, number int) error {
	sent, got := make([]byte, crowdBytes), make([]byte, crowdBytes)
	var seed [32]byte
	copy(seed[:], fmt.Sprint(number))
	_, _ = rand.NewChaCha8(seed).Read(sent)
	if err := c.SetDeadline(time.Now().Add(crowdTime)); err != nil {
		return err
	}
	if _, err := c.Write(sent); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("connection %d: %w", number, err)
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("connection %d got the bytes of another", number)
	}
	return nil
}

// beVM echoes until it is ended.
func beVM() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() { _, _ = io.Copy(struct{ io.Writer }{c}, c) }()
	}
}

// ends is a process with one end of every connection.
type ends struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startEnds(t *testing.T, what string) *ends {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), endsVar+"="+what)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	return &ends{in, bufio.NewReader(out)}
}

// says waits for the next line.
func (e *ends) says(t *testing.T) string {
	t.Helper()
	line, err := e.out.ReadString('\n')
	if err != nil {
		t.Fatalf("got %q (%v), want a line", line, err)
	}
	return strings.TrimSpace(line)
}

// Connections that have long been silent all speak at once.
func TestCrowdThatIdlesThenSpeaks(t *testing.T) {
	if os.Getenv(engineVar) != "" {
		t.Skip("a copied pair has six descriptors, too many for so many")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*crowd+500 {
		t.Skipf("%d connections need %d descriptors, the limit is %d (ulimit -Hn)", crowd, 2*crowd+500, limit.Cur)
	}
	e := running(t)
	vm := netip.MustParseAddrPort(startEnds(t, "vm").says(t))
	d, err := e.Listen(loopback(), relay.DoorOptions{
		Knock: func(relay.Visitor, relay.Pair) *relay.Call { return &relay.Call{To: []netip.AddrPort{vm}} },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	clients := startEnds(t, d.Addr().String())
	if said := clients.says(t); said != "connected" {
		t.Fatalf("got %q, want all connected", said)
	}
	eventually(t, "all are joined", func() bool { return e.Len() == crowd })
	if _, err := io.WriteString(clients.in, "go\n"); err != nil {
		t.Fatal(err)
	}
	if said := clients.says(t); said != "exchanged" {
		t.Fatalf("got %q, want all bytes back", said)
	}
}
