package api

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// ends returns a client and a server with a stream through this node between
// them, and a channel that is closed when it has ended.
func ends(t *testing.T) (client, server *net.TCPConn, done chan struct{}) {
	t.Helper()
	client, down := wire(t)
	up, server := wire(t)
	done = make(chan struct{})
	go func() {
		defer close(done)
		passBoth(side{down, down, down}, side{up, up, up})
		_, _ = down.Close(), up.Close()
	}()
	return client, server, done
}

// wire returns both ends of a TCP connection.
func wire(t *testing.T) (dialled, accepted *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(soon))
	}
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func TestPassBothEnds(t *testing.T) {
	t.Parallel()
	both := map[string]func(client, server *net.TCPConn) (first, second *net.TCPConn){
		"client first": func(c, s *net.TCPConn) (*net.TCPConn, *net.TCPConn) { return c, s },
		"server first": func(c, s *net.TCPConn) (*net.TCPConn, *net.TCPConn) { return s, c },
	}
	for name, order := range both {
		t.Run("half-close, "+name, func(t *testing.T) {
			client, server, done := ends(t)
			first, second := order(client, server)
			large := make([]byte, 8<<20)
			_, _ = io.WriteString(first, "last words")
			_ = first.CloseWrite()
			if got, err := io.ReadAll(second); err != nil || string(got) != "last words" {
				t.Fatalf("got %q, %v, want the last words and the end", got, err)
			}
			go func() { _, _ = second.Write(large); _ = second.CloseWrite() }()
			if n, err := io.Copy(io.Discard, first); err != nil || n != int64(len(large)) {
				t.Errorf("got %d bytes, %v, want %d after the half-close", n, err, len(large))
			}
			<-done
		})
		t.Run("reset, "+name, func(t *testing.T) {
			client, server, done := ends(t)
			first, second := order(client, server)
			reset(first)
			if _, err := io.ReadAll(second); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
			<-done
		})
		t.Run("reset after the other's half-close, "+name, func(t *testing.T) {
			client, server, done := ends(t)
			first, second := order(client, server)
			_ = second.CloseWrite()
			if _, err := io.ReadAll(first); err != nil {
				t.Fatal(err)
			}
			reset(first)
			if _, err := io.ReadAll(second); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
			<-done
		})
		t.Run("late words to one who closed, "+name, func(t *testing.T) {
			client, server, done := ends(t)
			first, second := order(client, server)
			_, _ = io.WriteString(first, "last words")
			_ = first.Close()
			for err := error(nil); err == nil; { // until the refusal came through
				_, err = io.WriteString(second, "too late")
				select {
				case <-done:
					err = io.EOF
				default:
				}
			}
			if got, err := io.ReadAll(second); string(got) != "last words" {
				t.Errorf("got %q, %v, want the last words", got, err)
			}
			<-done
		})
	}
}
