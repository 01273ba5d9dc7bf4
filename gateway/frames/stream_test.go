package frames_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vdi-gateway/gateway/frames"
)

const patience = 10 * time.Second

// accepted returns a Stream and the library at the other end of it.
func accepted(t *testing.T, opt *websocket.DialOptions) (*frames.Stream, *websocket.Conn) {
	t.Helper()
	streams := make(chan *frames.Stream, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
		early, _ := buffered.Peek(buffered.Reader.Buffered())
		_ = c.SetDeadline(time.Now().Add(patience))
		streams <- frames.NewStream(c, c.(*net.TCPConn), early)
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, server.URL, opt)
	if err != nil {
		t.Fatal(err)
	}
	s := <-streams
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow(); _ = s.Close() })
	return s, ws
}

// raw returns a Stream and the bytes at the other end of it.
func raw(t *testing.T) (*frames.Stream, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{near, far} {
		_ = c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { _ = c.Close() })
	}
	return frames.NewStream(near, near.(*net.TCPConn), nil), far.(*net.TCPConn)
}

// What the library sends and what it reads, in messages of all sizes, is the same
// stream of bytes here.
func TestTheLibraryAtTheOtherEnd(t *testing.T) {
	s, ws := accepted(t, nil)
	const size = 16 << 20
	far := websocket.NetConn(t.Context(), ws, websocket.MessageBinary)
	sums := make(chan error, 4)
	for i, end := range []net.Conn{s, far} {
		go func() { sums <- sendAll(end, uint64(i), size) }()
	}
	for i, end := range []net.Conn{far, s} {
		go func() { sums <- wantAll(end, uint64(i), size) }()
	}
	for range 4 {
		if err := <-sums; err != nil {
			t.Error(err)
		}
	}
}

func sendAll(c net.Conn, seed uint64, size int) error {
	r, source := rand.New(rand.NewPCG(seed, 1)), rand.NewChaCha8([32]byte{byte(seed)})
	for size > 0 {
		n := min(size, 1+r.IntN(1<<r.IntN(20)))
		b := make([]byte, n)
		_, _ = source.Read(b)
		if _, err := c.Write(b); err != nil {
			return err
		}
		size -= n
	}
	return nil
}

func wantAll(c net.Conn, seed uint64, size int) error {
	want, got := sha256.New(), sha256.New()
	_, _ = io.CopyN(want, rand.NewChaCha8([32]byte{byte(seed)}), int64(size))
	if n, err := io.CopyN(got, c, int64(size)); err != nil {
		return fmt.Errorf("%w after %d bytes", err, n)
	}
	if string(want.Sum(nil)) != string(got.Sum(nil)) {
		return errors.New("other bytes than were sent")
	}
	return nil
}

// A read that met its deadline in the middle of anything has lost nothing.
func TestDeadlinesLoseNothing(t *testing.T) {
	s, far := raw(t)
	var all []byte
	all = append(all, frame(binaryFrame, "hel", mask)...)
	all = append(all, frame(fin|pingFrame, "there", mask)...)
	all = append(all, frame(fin|continuation, "lo", mask)...)
	got, buf := "", make([]byte, 64)
	for _, b := range all {
		_ = s.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := s.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want the deadline", err)
		}
		if _, err := far.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		_ = s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := s.Read(buf)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	_ = s.SetReadDeadline(time.Time{})
	go func() { _, _ = far.Write(frame(fin|binaryFrame, "!", mask)) }()
	for !strings.HasSuffix(got, "!") {
		n, err := s.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	if got != "hello!" {
		t.Errorf("got %q, want hello!", got)
	}
	pong := make([]byte, 7)
	if _, err := io.ReadFull(far, pong); err != nil || string(pong) != "\x8a\x05there" {
		t.Errorf("got %q %v, want the pong", pong, err)
	}
}

// Whoever goes on has the rest: of the wire, and of the frame.
func TestHand(t *testing.T) {
	s, far := raw(t)
	sent := append(frame(fin|binaryFrame, "hello", mask), frame(fin|binaryFrame, "you", mask)...)
	sent = append(append(sent, frame(fin|pingFrame, "", mask)...), frame(fin|binaryFrame, "there", mask)...)
	if _, err := far.Write(sent); err != nil {
		t.Fatal(err)
	}
	buf, got := make([]byte, 2), ""
	for len(got) < 7 {
		n, err := s.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	dec, ahead := s.Hand()
	for more := make([]byte, len(sent)); !strings.HasSuffix(got, "there"); {
		if len(ahead) == 0 {
			n, err := s.Conn.Read(more)
			if err != nil {
				t.Fatal(err)
			}
			ahead = more[:n]
		}
		data, rest, _, err := dec.Next(ahead)
		if err != nil {
			t.Fatal(err)
		}
		got, ahead = got+string(data), rest
	}
	if got != "helloyouthere" {
		t.Errorf("got %q, want helloyouthere", got)
	}
}

func TestFinish(t *testing.T) {
	s, ws := accepted(t, nil)
	done := make(chan struct{})
	go func() { defer close(done); s.Finish(1011, "admin", time.Second, nil) }()
	_, _, err := ws.Read(t.Context())
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 1011 || closed.Reason != "admin" {
		t.Errorf("got %v, want 1011 admin", err)
	}
	<-done
	if _, err := s.Write([]byte("late")); err == nil {
		t.Error("a write went through behind the close frame")
	}
}

// The client's own close frame is answered with its code, before anything else.
func TestFinishAfterTheClient(t *testing.T) {
	s, ws := accepted(t, nil)
	closed := make(chan error, 1)
	go func() { closed <- ws.Close(4001, "enough") }()
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v, want the end", err)
	}
	s.Finish(1011, "admin", time.Second, nil)
	if err := <-closed; err != nil {
		t.Errorf("got %v, want the code back", err)
	}
}

func TestFinishAfterAViolation(t *testing.T) {
	s, ws := accepted(t, nil)
	if err := ws.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	var v *frames.Violation
	if _, err := s.Read(make([]byte, 1)); !errors.As(err, &v) {
		t.Fatalf("got %v, want a violation", err)
	}
	go s.Finish(1000, "client_closed", time.Second, nil)
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Errorf("got %v, want 1003", err)
	}
}

// A client that does not take its frame gets a reset in its place, soon.
func TestFinishOfATornFrame(t *testing.T) {
	s, far := raw(t)
	wrote := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = s.Write(make([]byte, 1<<20))
		}
		wrote <- err
	}()
	time.Sleep(50 * time.Millisecond) // so that it is likely to be stuck: if not, what follows holds as well
	s.Interrupt(50 * time.Millisecond)
	if err := <-wrote; err == nil {
		t.Error("the write went on")
	}
	s.Finish(1011, "admin", time.Second, nil)
	if _, err := io.Copy(io.Discard, far); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestAnInterruptEndsARead(t *testing.T) {
	s, ws := accepted(t, nil)
	read := make(chan error, 1)
	go func() { _, err := s.Read(make([]byte, 1)); read <- err }()
	s.Interrupt(patience)
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	go s.Finish(1001, "shutdown", time.Second, nil)
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v, want 1001", err)
	}
}

// A client that pings without end and takes nothing holds up nobody but itself: of
// what is not taken the last ping is kept.
func TestPingsOfAClientThatReadsNothing(t *testing.T) {
	s, far := raw(t)
	stuck := make(chan struct{})
	go func() {
		defer close(stuck)
		_, _ = s.Write(make([]byte, 64<<20)) // more than anything in between holds
	}()
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil { // it is under way
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range 100000 {
			if _, err := far.Write(frame(fin|pingFrame, strings.Repeat("x", 100), mask)); err != nil {
				return
			}
		}
		_, _ = far.Write(frame(fin|binaryFrame, "hello", mask))
	}()
	buf := make([]byte, 32<<10)
	n, err := s.Read(buf)
	if err != nil || string(buf[:n]) != "hello" {
		t.Errorf("got %q %v, want hello: reading waits for the writer", buf[:n], err)
	}
	<-sent
	s.Ping() // does not wait either
	s.Interrupt(0)
	<-stuck
}

func TestAPingIsHeard(t *testing.T) {
	pinged := make(chan struct{}, 1)
	s, ws := accepted(t, &websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool {
		pinged <- struct{}{}
		return true
	}})
	_ = ws.CloseRead(t.Context())
	if !s.Heard().IsZero() {
		t.Error("something was heard before anything was said")
	}
	go func() { _, _ = io.Copy(io.Discard, s) }()
	began := time.Now()
	s.Ping()
	<-pinged
	for end := time.Now().Add(patience); s.Heard().Before(began); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the pong was not heard")
		}
	}
	s.Interrupt(0)
}
