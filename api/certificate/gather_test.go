package certificate

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counted counts the writes on a connection, and fails those after the last one allowed.
type counted struct {
	net.Conn
	writes atomic.Int64
	most   int64 // 0: any number
}

var errNoMore = errors.New("no more writes")

func (c *counted) Write(p []byte) (int, error) {
	if n := c.writes.Add(1); c.most > 0 && n > c.most {
		return 0, errNoMore
	}
	return c.Conn.Write(p)
}

// joined is both ends of a connection by TLS, and what is below ours.
func joined(t *testing.T) (near *Conn, far *tls.Conn, below *counted) {
	t.Helper()
	k, _ := newKeeper(t, Deps{})
	if err := k.Apply(enabled()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	below = &counted{Conn: accepted}
	near, far = k.Accept(below), tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is ours
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	began := make(chan error, 1)
	go func() { _, err := far.Write([]byte("x")); began <- err }()
	if _, err := near.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-began; err != nil {
		t.Fatal(err)
	}
	return near, far, below
}

func TestLongWritesLeaveAtOnce(t *testing.T) {
	near, far, below := joined(t)
	sent := make([]byte, 1<<20+12345)
	for i := range sent {
		sent[i] = byte(rand.IntN(256))
	}
	before := below.writes.Load()
	go func() { _, _ = near.Write(sent); _ = near.CloseWrite() }()
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("got %d bytes of %d, %v", len(got), len(sent), err)
	}
	if n, want := below.writes.Load()-before, int64(len(sent)/gatherMax+2); n > want {
		t.Errorf("it took %d writes, want %d at most", n, want)
	}
}

// Writers do not mix, whatever the other direction does meanwhile.
func TestManyWritersAtOnce(t *testing.T) {
	near, far, _ := joined(t)
	const each = 60
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range each {
				size := 3 + rand.IntN(3000)
				if i%3 == 0 {
					size = recordMax + rand.IntN(2*gatherMax)
				}
				// One Write is one message, of one letter.
				message := bytes.Repeat([]byte{byte('a' + w)}, size)
				message[0], message[size-1] = '<', '>'
				if _, err := near.Write(message); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	go func() { _, _ = io.Copy(far, io.LimitReader(zeros{}, 1<<20)) }()
	go func() { _, _ = io.Copy(io.Discard, near) }()
	go func() { all.Wait(); _ = near.CloseWrite() }()
	got, err := io.ReadAll(far)
	if err != nil {
		t.Fatal(err)
	}
	messages := bytes.SplitAfter(got, []byte(">"))
	for i, m := range messages[:len(messages)-1] {
		if m[0] != '<' || len(bytes.Trim(m[1:len(m)-1], string(m[1]))) > 0 {
			t.Fatalf("message %d of %d bytes is mixed with another", i, len(m))
		}
	}
	if n := len(messages) - 1; n != 4*each || len(messages[n]) > 0 {
		t.Errorf("got %d messages, want %d", n, 4*each)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// What is lost below is an error of this write or of the next, and of all that follow.
func TestAFailureBelowIsToldAndLasts(t *testing.T) {
	near, _, below := joined(t)
	below.most = below.writes.Load() + 2
	n, err := near.Write(make([]byte, 4*gatherMax))
	if !errors.Is(err, errNoMore) || n != 2*gatherMax {
		t.Errorf("got %d, %v: want what left, and the failure", n, err)
	}
	for _, size := range []int{1, 2 * gatherMax} {
		if n, err := near.Write(make([]byte, size)); err == nil || n > 0 {
			t.Errorf("got %d, %v after a failure", n, err)
		}
	}
}

func TestALongWriteToWhoReadsNothingEnds(t *testing.T) {
	near, _, _ := joined(t)
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := near.Write(make([]byte, 1<<20)); err != nil {
				ended <- err
				return
			}
		}
	}()
	time.Sleep(100 * time.Millisecond) // every buffer is full
	began := time.Now()
	_ = near.Close()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the write goes on")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
}
