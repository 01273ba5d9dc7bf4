package console

import (
	"context"
	"io"
	"net"
	"sync/atomic"

	"github.com/coder/websocket"
)

// carry relays until either side ends; a desktop that ends is told of as the
// gateway does.
func (g *gateway) carry(c *carrier) {
	vm, err := net.Dial("tcp", g.vm)
	if err != nil {
		_ = c.ws.Close(websocket.StatusInternalError, "vm_unreachable")
		return
	}
	c.vm = vm
	g.mu.Lock()
	g.carriers[c] = true
	g.attached++
	g.spy.begin()
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.carriers, c)
		g.mu.Unlock()
		_ = vm.Close()
		_ = c.ws.CloseNow()
	}()
	client := websocket.NetConn(context.Background(), c.ws, websocket.MessageBinary)
	go func() {
		defer func() { _ = vm.Close() }()
		_, _ = io.Copy(io.MultiWriter(vm, g), client)
	}()
	_, _ = io.CopyN(client, vm, int64(greeting+len("Sample desktop")))
	g.wait()
	_, _ = io.Copy(mutable{client, &c.mute}, vm)
	_ = c.ws.Close(websocket.StatusNormalClosure, "vm_closed")
}

// greeting is what the sample desktop says before its first picture: a version, the
// security types, the result, its size and its name.
const greeting = 12 + 2 + 4 + 24

// pause holds back all pictures of desktops that are attached from now on.
func (g *gateway) pause(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if on {
		g.paused = make(chan struct{})
		return
	}
	close(g.paused)
	g.paused = nil
}

func (g *gateway) wait() {
	g.mu.Lock()
	paused := g.paused
	g.mu.Unlock()
	if paused != nil {
		<-paused
	}
}

// Write takes what the page says to the desktop.
func (g *gateway) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spy.hear(p)
	return len(p), nil
}

// cut ends the TCP connections under all WebSockets, as a network does.
func (g *gateway) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.carriers {
		_ = c.tcp.SetLinger(0)
		_ = c.tcp.Close()
		_ = c.vm.Close()
	}
}

// end closes all WebSockets with a code and a reason.
func (g *gateway) end(code websocket.StatusCode, reason string) {
	g.mu.Lock()
	var all []*carrier
	for c := range g.carriers {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		_ = c.ws.Close(code, reason)
	}
}

// silence lets nothing come from the desktops that are attached now.
func (g *gateway) silence() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.carriers {
		c.mute.Store(true)
	}
}

// mutable writes nothing while it is mute.
type mutable struct {
	io.Writer
	mute *atomic.Bool
}

func (m mutable) Write(p []byte) (int, error) {
	if m.mute.Load() {
		return len(p), nil
	}
	return m.Writer.Write(p)
}

// attachments counts the WebSockets that were ever carried.
func (g *gateway) attachments() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.attached
}

// heard is what the page has said to the desktop so far.
func (g *gateway) heard() spy {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.spy.copy()
}
