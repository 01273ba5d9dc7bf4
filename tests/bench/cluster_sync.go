package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"vdi-gateway/api/peer"
	"vdi-gateway/balancer/directory"
	"vdi-gateway/tests/bench/figure"
)

const (
	stickyEntries = 100_000
	grantEntries  = 10_000
	grantBytes    = 500 // of a grant's record
	syncPort      = 18000
	syncPeers     = 18010
)

// syncFigure is the time until a new node has all records; direct is the time in
// which as many bytes go over one connection.
var syncFigure = figure.Figure{Name: "cluster.sync_100k_s", Peer: "direct", Unit: "s"}

// member is a directory with its way to the others: real sockets of the loopback,
// real membership, sealed requests.
type member struct {
	*directory.Directory
	peers *peer.Client
}

// Send brings a message to another one.
func (m *member) Send(ctx context.Context, to netip.Addr, message []byte) ([]byte, error) {
	return m.peers.Call(ctx, to, "directory", message)
}

func startMember(ctx context.Context, own netip.Addr, all []netip.Addr) (*member, error) {
	m := &member{peers: peer.NewClient()}
	m.Directory = directory.New(directory.Deps{Carrier: m})
	server := peer.NewServer()
	server.Handle("directory", m.Receive)
	cfg := peer.Config{Node: own, Nodes: all, Port: syncPort, Keys: []string{"the key of the benchmark"}}
	if err := first(m.peers.Apply(cfg), server.Apply(cfg)); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", netip.AddrPortFrom(own, syncPort).String())
	if err != nil {
		return nil, err
	}
	go func() { _ = http.Serve(l, server) }() //nolint:gosec // ends with the process
	if err := m.Apply(directory.Config{Node: own, Peers: all, Port: syncPeers, Key: cfg.Keys[0]}); err != nil {
		return nil, err
	}
	go func() { _ = m.Run(ctx) }()
	return m, nil
}

// fill writes the records and returns their bytes.
func (m *member) fill() (size int) {
	expires := time.Now().Add(time.Hour)
	node := []byte{10, 0, 0, 1}
	for i := range stickyEntries {
		key := fmt.Sprintf("10.%d.%d.%d/32", i>>16&255, i>>8&255, i&255)
		m.Put(directory.Record{Kind: "sticky", Key: key, Value: node, Expires: expires})
		size += len(key) + len(node)
	}
	value := []byte(strings.Repeat("x", grantBytes))
	for i := range grantEntries {
		key := fmt.Sprintf("0f8fad5b-d9cb-469f-a165-%012d", i)
		m.Put(directory.Record{Kind: "grant", Key: key, Value: value, Expires: expires})
		size += len(key) + len(value)
	}
	return size
}

// benchSync prints the seconds until a new node has all, those of the bare bytes,
// and the bytes of memory per record.
func benchSync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	all := []netip.Addr{netip.MustParseAddr("127.86.0.1"), netip.MustParseAddr("127.86.0.2")}
	old, err := startMember(ctx, all[0], all)
	if err != nil {
		return err
	}
	before := heap()
	size := old.fill()
	perRecord := float64(heap()-before) / (stickyEntries + grantEntries)
	began := time.Now()
	fresh, err := startMember(ctx, all[1], all)
	if err != nil {
		return err
	}
	for !complete(fresh) {
		if ctx.Err() != nil {
			return fmt.Errorf("the new node has %v: %w", fresh.Stats().Records, ctx.Err())
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	bare, err := bareCopy(ctx, size)
	fmt.Printf("%.4f %.4f %.0f\n", took.Seconds(), bare.Seconds(), perRecord)
	return err
}

func complete(m *member) bool {
	records := m.Stats().Records
	return records["sticky"] == stickyEntries && records["grant"] == grantEntries
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below
}

// bareCopy is the time in which so many bytes go over one connection.
func bareCopy(ctx context.Context, size int) (time.Duration, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	began := time.Now()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write(make([]byte, size)) // the reader notices
			_ = c.Close()
		}
	}()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if n, err := io.Copy(io.Discard, c); err != nil || int(n) != size {
		return 0, fmt.Errorf("%d of %d bytes came: %w", n, size, err)
	}
	return time.Since(began), nil
}
