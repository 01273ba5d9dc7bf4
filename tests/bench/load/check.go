package load

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// judge is what the server thinks of the checked streams.
type judge struct {
	mu    sync.Mutex
	saw   map[uint64]string // by the connection's number: "" as it should
	alive sync.WaitGroup
}

func newJudge() *judge { return &judge{saw: map[uint64]string{}} }

// stream runs the server's side of a checked connection.
func (j *judge) stream(conn *net.TCPConn) {
	j.alive.Add(1)
	defer j.alive.Done()
	_ = conn.SetDeadline(time.Now().Add(streamTime))
	var number [8]byte
	if _, err := io.ReadFull(conn, number[:]); err != nil {
		return // reset before it began; the client knows whether it should
	}
	p := newPlan(binary.BigEndian.Uint64(number[:]))
	verdict := ""
	if err := (side{plan: p, conn: conn}).run(); err != nil {
		verdict = "server: " + err.Error()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.saw[p.number] = verdict
}

// report tells everything once all streams have ended, and forgets it.
func (j *judge) report(conn net.Conn) {
	j.alive.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_ = json.NewEncoder(conn).Encode(j.saw) // the client says that it got none
	clear(j.saw)
}

// checker is the client's side of all checked streams.
type checker struct {
	job   Job
	mu    sync.Mutex
	errs  []error
	total int64
}

func check(job Job, _ *parent) (Result, error) {
	c := &checker{job: job}
	start := time.Now()
	var all sync.WaitGroup
	for i := range job.Conns {
		all.Go(func() { c.stream(i) })
	}
	all.Wait()
	if err := c.ask(); err != nil {
		return Result{}, err
	}
	if len(c.errs) > 0 {
		few := c.errs[:min(len(c.errs), 5)]
		return Result{}, fmt.Errorf("%d complaints about %d connections, such as: %w", len(c.errs), job.Conns, errors.Join(few...))
	}
	return Result{Time: time.Since(start), Conns: int64(job.Conns), Bytes: c.total}, nil
}

// number of the plan of connection i.
func (c *checker) number(i int) uint64 { return c.job.Seed<<32 + uint64(i) }

func (c *checker) stream(i int) {
	p := newPlan(c.number(i))
	err := c.carry(i, p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total += p.up + p.down
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("connection %+v: client: %w", p, err))
	}
}

func (c *checker) carry(i int, p plan) error {
	conn, err := dial(c.job.from(i), c.job.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	first := binary.BigEndian.AppendUint64([]byte{wantStream}, p.number)
	if _, err := conn.Write(first); err != nil {
		return err
	}
	return side{plan: p, conn: conn, client: true}.run()
}

// ask adds what the server thinks.
func (c *checker) ask() error {
	conn, err := dial(netip.Addr{}, c.job.Judge)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(streamTime))
	if _, err := conn.Write([]byte{wantReport}); err != nil {
		return err
	}
	saw := map[uint64]string{}
	if err := json.NewDecoder(conn).Decode(&saw); err != nil {
		return fmt.Errorf("read the server's report: %w", err)
	}
	for i := range c.job.Conns {
		c.compare(newPlan(c.number(i)), saw)
	}
	return nil
}

// compare adds what the server thinks of one connection. One that the client
// resets may never have come that far.
func (c *checker) compare(p plan, saw map[uint64]string) {
	verdict, seen := saw[p.number]
	if !seen && p.end != clientResets {
		verdict = "the server did not see it"
	}
	if verdict != "" {
		c.errs = append(c.errs, fmt.Errorf("connection %+v: %s", p, verdict))
	}
}

func dial(from netip.Addr, to netip.AddrPort) (*net.TCPConn, error) {
	d := net.Dialer{KeepAlive: -1}
	d.SetMultipathTCP(false)
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	ctx, cancel := context.WithTimeout(context.Background(), streamTime)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
