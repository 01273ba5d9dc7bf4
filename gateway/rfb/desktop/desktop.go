package desktop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// MaxClients is how many clients a desktop serves at once. The next one is
// closed as soon as it connects.
const MaxClients = 64

// ErrServing is returned by Serve while another Serve of the same desktop
// runs. The listener is left as it was.
var ErrServing = errors.New("the desktop is being served already")

// Config says what the desktop looks like. The zero value is a desktop of
// 800 by 600 pixels named "Sample desktop" at 20 frames a second.
type Config struct {
	Width  int    // pixels, 320..3840; 0: 800
	Height int    // pixels, 240..2160; 0: 600
	Name   string // shown in title bars, cut after 128 bytes; "": "Sample desktop"
	FPS    int    // frames a second at most, 1..120; 0: 20
}

// Desktop is one picture and all who watch it. Its methods may be called from
// any goroutine.
type Desktop struct {
	// set by New
	cfg    Config
	layout layout
	wake   chan struct{} // somebody waits for a frame

	served    sync.Mutex // held by Serve
	in, out   atomic.Int64
	connected atomic.Int64
	refused   atomic.Int64

	// guarded by mu
	mu      sync.Mutex
	scene   scene
	shown   []shape // what the canvas shows
	canvas  *canvas
	frames  int64
	clients map[*client]struct{}
}

// Stats counts what a desktop has done since New.
type Stats struct {
	Clients  int   // connected now, those still shaking hands included
	Refused  int64 // closed because MaxClients were there
	Frames   int64 // drawn
	BytesIn  int64 // from clients
	BytesOut int64 // to clients
}

// New makes a desktop. Values of cfg out of their range are moved into it.
// Nothing runs until Serve.
func New(cfg Config) *Desktop {
	cfg = cfg.complete()
	l := newLayout(cfg)
	return &Desktop{
		cfg:     cfg,
		layout:  l,
		wake:    make(chan struct{}, 1),
		scene:   newScene(l),
		canvas:  newCanvas(cfg.Width, cfg.Height),
		clients: make(map[*client]struct{}),
	}
}

func (cfg Config) complete() Config {
	cfg.Width = within(cfg.Width, 800, 320, 3840)
	cfg.Height = within(cfg.Height, 600, 240, 2160)
	cfg.FPS = within(cfg.FPS, 20, 1, 120)
	if cfg.Name == "" {
		cfg.Name = "Sample desktop"
	}
	cfg.Name = cfg.Name[:min(len(cfg.Name), 128)]
	return cfg
}

func within(value, whenZero, least, most int) int {
	if value == 0 {
		return whenZero
	}
	return max(least, min(value, most))
}

// Serve accepts clients from l until ctx ends, which gives nil, or accepting
// fails, which gives the error. It closes l, and returns when every client
// is closed and every goroutine has ended.
func (d *Desktop) Serve(ctx context.Context, l net.Listener) error {
	if !d.served.TryLock() {
		return ErrServing
	}
	defer d.served.Unlock()
	inner, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { d.paint(inner) })
	all.Go(func() { <-inner.Done(); _ = l.Close() })
	err := d.accept(inner, l, &all)
	cancel()
	all.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("accept on %s: %w", l.Addr(), err)
}

func (d *Desktop) accept(ctx context.Context, l net.Listener, all *sync.WaitGroup) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if d.connected.Add(1) > MaxClients {
			d.connected.Add(-1)
			d.refused.Add(1)
			_ = conn.Close()
			continue
		}
		all.Go(func() {
			defer d.connected.Add(-1)
			// How a client ended concerns nobody: it is a sample.
			_ = d.attend(ctx, conn)
		})
	}
}

// Stats returns the counters as they are now.
func (d *Desktop) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Stats{
		Clients:  int(d.connected.Load()),
		Refused:  d.refused.Load(),
		Frames:   d.frames,
		BytesIn:  d.in.Load(),
		BytesOut: d.out.Load(),
	}
}

// poke makes paint draw a frame as soon as the frame rate permits.
func (d *Desktop) poke() {
	select {
	case d.wake <- struct{}{}:
	default: // it is awake already
	}
}

// paint draws frames while clients wait for them and sleeps while none does.
func (d *Desktop) paint(ctx context.Context) {
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		pace.Reset(time.Second / time.Duration(d.cfg.FPS))
		if d.frame(time.Now()) {
			d.poke()
		}
	}
}

// frame brings the picture to now, tells the clients it has news for, and
// reports whether another client waits still.
func (d *Desktop) frame(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frames++
	d.scene = d.scene.step(now, tick{
		frames: d.frames, in: d.in.Load(), out: d.out.Load(), viewers: len(d.clients),
	})
	list := d.layout.list(d.scene, now)
	news := difference(d.shown, list)
	d.canvas.repaint(list, news)
	d.shown = list
	waiting := false
	for c := range d.clients {
		waiting = !c.offer(news) || waiting
	}
	return waiting
}

// happen takes the scene through something a client did.
func (d *Desktop) happen(e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scene = d.scene.step(time.Now(), e)
}
