package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	keepalive   = time.Second
	userTimeout = 2 * time.Second
	// goneWithin is five times what TCP needs at most to give a peer up.
	goneWithin = 5 * (keepalive + userTimeout)
)

func shortTimeouts() node.Config {
	timeouts := map[string]any{"keepalive_s": int(keepalive.Seconds()), "user_timeout_ms": userTimeout.Milliseconds()}
	if node.Kernel() {
		timeouts["idle_s"] = int((keepalive + userTimeout).Seconds())
	}
	return node.Config{Settings: node.Settings{"timeouts": timeouts}}
}

// wantGone waits for the end of a session whose peer has vanished. The kernel gives nobody
// up: it has no TCP connection of its own whose keepalive could fail. So where it moves the
// bytes idle_s ends the session, and if somebody still sends to the one that is gone, that
// is between two attempts which are far enough apart.
func wantGone(t *testing.T, n *node.Node, tunnel node.Tunnel, steered bool) {
	t.Helper()
	reason, limit := "reason=keepalive_timeout", goneWithin
	if steered {
		reason, limit = "reason=idle", 2*goneWithin
	}
	start := time.Now()
	wantIn(t, closedWithin(t, 2*limit, n, tunnel), reason)
	if took := time.Since(start); took > limit {
		t.Errorf("noticed after %s, want within %s", took, limit)
	}
}

func TestAPeerThatVanishesEndsItsSession(t *testing.T) {
	for _, tt := range []struct {
		name string
		gone func(*place) *lab.Host
		busy bool // the VM keeps sending
	}{
		{"an idle client", func(p *place) *lab.Host { return p.client }, false},
		{"a client that is being sent to", func(p *place) *lab.Host { return p.client }, true},
		{"an idle VM", func(p *place) *lab.Host { return p.vmHost }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, shortTimeouts())
			ended := make(chan struct{}, 2) // the probe's connection, then the session's
			v := serve(t, p.vmHost, vmAddr+":7000", func(c *net.TCPConn) {
				stayConnected(c, tt.busy)
				ended <- struct{}{}
			})
			c, tunnel := talk(t, p, v.addr)
			within(t, "the probe ends", ended)
			if err := tt.gone(p).Unplug(); err != nil {
				t.Fatal(err)
			}
			wantGone(t, p.node, tunnel, node.Kernel())
			if tt.gone(p) == p.client {
				within(t, "the VM is told", ended)
			} else if err := endOf(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client: got %v, want it told", err)
			}
		})
	}
}

// stayConnected echoes until the connection ends; a busy VM also sends on its
// own after the first bytes.
func stayConnected(c *net.TCPConn, busy bool) {
	buf := make([]byte, 1024)
	n, err := c.Read(buf)
	if err != nil {
		return
	}
	_, err = c.Write(buf[:n])
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if busy {
		go func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					_, _ = c.Write(buf) // its end shows in Read
				}
			}
		}()
	}
	for err == nil {
		_, err = c.Read(buf)
	}
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Errorf("not within %s: %s", patience, what)
	}
}

// endOf reads until a connection ends and tells how: io.EOF or an error.
func endOf(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	if err == nil {
		return io.EOF
	}
	return err
}

// wantEnd reads up to the end of the stream.
func wantEnd(c net.Conn) error {
	if err := endOf(c); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func TestAKilledVMEndsItsSession(t *testing.T) {
	p := newPlace(t, node.Config{})
	vm := echoProcess(t, p.vmHost, vmAddr+":7000")
	c, tunnel := talk(t, p, netipPort(vmAddr, 7000))
	vm.Kill()
	if err := endOf(c); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client: got %v, want the end of the stream or a reset", err)
	}
	_ = c.Close() // as a viewer does
	wantIn(t, closedFor(t, p.node, tunnel), "reason=vm_closed")
	_, err := p.node.Client(p.client).Open(t.Context(), node.OpenRequest{VMAddress: vmAddr, VMPort: 7000, Probe: true})
	if node.Code(err) != "VM_UNREACHABLE" {
		t.Errorf("a new tunnel to it: got %v, want VM_UNREACHABLE", err)
	}
}
