package relay

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"vdi-gateway/gateway/frames"
)

// loopsMax bounds how many loops serve: more of them than this share less and
// wake each other no faster.
const loopsMax = 4

// loops are the engine's epoll loops, made when the first flow or Run needs
// them.
type loops struct {
	once sync.Once
	all  []*loop // none when epoll cannot be had: everything is copied then
	turn atomic.Uint32
	live atomic.Int64

	mu     sync.RWMutex
	doors  map[int32]*door
	nextID int32
}

// addDoor names a door, so that events can say whose they are.
func (ls *loops) addDoor(d *door) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.doors == nil {
		ls.doors = map[int32]*door{}
	}
	for ls.nextID++; ls.doors[ls.nextID] != nil; ls.nextID++ {
	}
	d.id = ls.nextID
	ls.doors[d.id] = d
}

func (ls *loops) removeDoor(id int32) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.doors, id)
}

// door is nil when it was closed meanwhile.
func (ls *loops) door(id int32) *door {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return ls.doors[id]
}

func (ls *loops) open() []*loop {
	ls.once.Do(func() {
		for range min(runtime.GOMAXPROCS(0), loopsMax) {
			l, err := newLoop(ls)
			if err != nil {
				return
			}
			ls.all = append(ls.all, l)
		}
	})
	return ls.all
}

// run serves all loops until ctx is done and their flows have ended; wait
// returns when they have. A loop that is about to be busy keeps its processor
// while it waits (see epollWait), so each brings one of its own: all else runs
// on as many as before.
func (ls *loops) run(ctx context.Context) (wait func()) {
	all := ls.open()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + len(all))
	var running sync.WaitGroup
	for _, l := range all {
		running.Go(func() { l.run(ctx) })
	}
	return func() {
		running.Wait()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - len(all))
	}
}

// next is the loop for a new flow; nil when there is none.
func (ls *loops) next() *loop {
	all := ls.open()
	if len(all) == 0 {
		return nil
	}
	return all[int(ls.turn.Add(1))%len(all)]
}

func (ls *loops) killAll() {
	for _, l := range ls.all {
		l.post(func(l *loop) {
			l.stopping = true
			for _, f := range l.flows {
				if f != nil {
					f.kill(l, Shutdown)
				}
			}
		})
	}
}

func (ls *loops) len() int { return int(ls.live.Load()) }

func (ls *loops) figures(f *Figures) {
	for _, l := range ls.open() {
		f.Loops++
		f.Pipes += int(l.pipes.open.Load())
		f.Spliced += l.spliced.Load()
	}
}

// joinFlow makes a flow of two TCP connections, the client's with frames or without;
// false when they are none or descriptors cannot be had.
func (e *Engine) joinFlow(client, vm net.Conn, opt Options) (Pair, bool) {
	l := e.loops.next()
	carried, isFramed := client.(*frames.Stream)
	if isFramed {
		client = carried.Conn
	}
	if l == nil || !isTCP(client) || !isTCP(vm) {
		return nil, false
	}
	c, err := duplicate(client)
	if err != nil {
		return nil, false
	}
	v, err := duplicate(vm)
	if err != nil {
		_ = unix.Close(c) // the connection itself is open still
		return nil, false
	}
	_ = client.Close() // from here on the duplicates are the connections
	_ = vm.Close()
	f := newFlow(e, l, c, v, opt)
	e.wg.Add(1)
	e.loops.live.Add(1)
	begin := func(l *loop) { l.adopt(f) }
	if isFramed {
		begin = f.carry(carried)
	}
	if !l.post(begin) {
		f.kill(l, Shutdown)
	}
	return f, true
}

// left tells the owner of an ended flow, on its loop.
func (e *Engine) left(f *flow, res Result) {
	e.loops.live.Add(-1)
	if f.opt.OnEnd != nil {
		f.opt.OnEnd(res)
	}
	e.wg.Done()
}
