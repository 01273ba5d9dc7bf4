package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"vdi-gateway/gateway/relay"
)

const (
	selfCheckTime  = time.Second // for the whole way there and back
	selfCheckFresh = time.Second // an answer younger than this is given again
)

// selfChecker sends bytes through a tunnel made as every tunnel is, from the
// node's own address to a little echo server on it.
type selfChecker struct {
	mu   sync.Mutex
	at   time.Time
	last error
}

func (c *selfChecker) check(ctx context.Context, node netip.Addr, engine *relay.Engine) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < selfCheckFresh {
		return c.last
	}
	// Who asked may give up; the answer is for the next who ask, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), selfCheckTime)
	defer cancel()
	c.last, c.at = throughTunnel(ctx, node, engine), time.Now()
	return c.last
}

func throughTunnel(ctx context.Context, node netip.Addr, engine *relay.Engine) error {
	own := []netip.Addr{node}
	vm, err := listen(netip.AddrPortFrom(node, 0), own)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", node, err)
	}
	defer vm.Close()
	door, err := engine.Listen(netip.AddrPortFrom(node, 0), relay.DoorOptions{
		Setup: func(fd int) error { return attachFilter(fd, node, own, nil) },
		Knock: func(relay.Visitor, relay.Pair) *relay.Call {
			return &relay.Call{
				To:      []netip.AddrPort{vm.Addr().(*net.TCPAddr).AddrPort()},
				Timeout: selfCheckTime,
				Setup:   func(fd int) error { return bindTo(fd, node) },
				Options: relay.Options{HalfClose: selfCheckTime},
			}
		},
	})
	if err != nil {
		return err
	}
	defer door.Close()
	deadline, _ := ctx.Deadline()
	_ = vm.SetDeadline(deadline) // only fails when closed
	var echo sync.WaitGroup
	defer echo.Wait()
	echo.Go(func() { echoOnce(vm, deadline) })
	return thereAndBack(ctx, node, net.TCPAddrFromAddrPort(door.Addr()))
}

func echoOnce(l *net.TCPListener, deadline time.Time) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(deadline) // only fails when closed
	_, _ = io.Copy(c, c)        // what is lost shows at the other end
}

func thereAndBack(ctx context.Context, node netip.Addr, door net.Addr) error {
	c, err := dialAs(ctx, node, door)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline) // only fails when closed
	sent, got := make([]byte, 64), make([]byte, 64)
	_, _ = rand.Read(sent) // never fails, says crypto/rand
	if _, err := c.Write(sent); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if _, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if !bytes.Equal(sent, got) {
		return errors.New("other bytes came back than were sent")
	}
	return nil
}

// dialAs connects from the node's own address. The system would choose
// another one when node is not the first of its interface, and the filters of
// both listeners let the node alone in.
func dialAs(ctx context.Context, node netip.Addr, to net.Addr) (*net.TCPConn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(node, 0))}
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}
