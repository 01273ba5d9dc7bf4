package rfb

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// script is the other side of a handshake, line by line:
//
//	>text      say it
//	<text      expect it
//	T          from here in TLS
//	?password  read a challenge and answer it
//	*          from here listen to nothing, so that nobody waits to be heard
//	.          expect the end of the connection, and nothing before it
type script []string

// stage is where a script is played.
type stage struct {
	step   int         // so many bytes are said at once
	socket bool        // what is said waits until it is read; in a pipe it does not
	hangUp bool        // in the end
	server *tls.Config // who plays is a VM
	client *tls.Config // who plays is a viewer
}

// perform plays the script on conn and returns what it is then: in TLS or not.
func (s stage) perform(conn net.Conn, lines script) (net.Conn, error) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	for i, line := range lines {
		next, err := s.line(conn, line[0], line[1:])
		if err != nil {
			return conn, fmt.Errorf("line %d, %.60q: %w", i, line, err)
		}
		conn = next
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}

func (s stage) line(conn net.Conn, what byte, text string) (net.Conn, error) {
	switch what {
	case '>':
		return conn, sendBy(conn, text, s.step)
	case '<':
		return conn, expect(conn, text)
	case '?':
		return conn, respond(conn, Secret(text))
	case '*':
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		return conn, nil
	case '.':
		return conn, expectEnd(conn)
	case 'T':
		encrypted := tls.Client(conn, s.client)
		if s.server != nil {
			encrypted = tls.Server(conn, s.server)
		}
		return encrypted, encrypted.Handshake()
	}
	return conn, fmt.Errorf("no such line")
}

func sendBy(w io.Writer, text string, step int) error {
	for len(text) > 0 {
		n := min(step, len(text))
		if _, err := io.WriteString(w, text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

func expect(r io.Reader, text string) error {
	got := make([]byte, len(text))
	if n, err := io.ReadFull(r, got); err != nil {
		return fmt.Errorf("got %q, want %q: %w", got[:n], text, err)
	}
	if string(got) != text {
		return fmt.Errorf("got %q, want %q", got, text)
	}
	return nil
}

func respond(rw io.ReadWriter, password Secret) error {
	var challenge [challengeLength]byte
	if _, err := io.ReadFull(rw, challenge[:]); err != nil {
		return err
	}
	response := vncResponse(password, challenge)
	_, err := rw.Write(response[:])
	return err
}

func expectEnd(r io.Reader) error {
	got, err := io.ReadAll(r)
	if len(got) > 0 {
		return fmt.Errorf("got %q, want the end", got)
	}
	return err
}

// act plays a script on one end of a pipe, in a goroutine, and returns the other end. The
// cleanup of the test looks at how it went.
func act(t *testing.T, s stage, lines script) net.Conn {
	t.Helper()
	near, far := s.pair(t)
	done := make(chan error, 1)
	go func() {
		conn, err := s.perform(far, lines)
		if s.hangUp {
			_ = conn.Close()
		}
		done <- err
	}()
	t.Cleanup(func() {
		_ = near.Close()
		if err := <-done; err != nil {
			t.Errorf("the other side: %v", err)
		}
		_ = far.Close()
	})
	return near
}

func (s stage) pair(t *testing.T) (near, far net.Conn) {
	if s.socket {
		return sockets(t)
	}
	return net.Pipe()
}

// sockets are two ends of a connection on loopback.
func sockets(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}
