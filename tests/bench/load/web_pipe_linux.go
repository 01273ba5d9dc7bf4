package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// smallBuffer is copied of a large frame; the kernel drops the rest.
	smallBuffer = 4 << 10
	// secureBuffer holds what one call receives of a TLS connection, all of
	// which has to be decrypted.
	secureBuffer = 64 << 10
)

// socketPipe is a bare TCP socket that blocks.
type socketPipe struct {
	fd    int
	trash []byte // not written to: the kernel drops what it would get
}

func (s socketPipe) send(b []byte) error {
	for len(b) > 0 {
		n, err := again(func() (int, error) { return unix.Write(s.fd, b) })
		if err != nil {
			return fmt.Errorf("send: %w", err)
		}
		b = b[n:]
	}
	return nil
}

func (s socketPipe) receive(b []byte) (int, error) {
	return atLeastOne(again(func() (int, error) { return unix.Read(s.fd, b) }))
}

func (s socketPipe) drop(n int64) (int64, error) {
	b := s.trash[:min(n, int64(len(s.trash)))]
	got, err := atLeastOne(again(func() (int, error) {
		n, _, err := unix.Recvfrom(s.fd, b, unix.MSG_TRUNC)
		return n, err
	}))
	return int64(got), err
}

func atLeastOne(n int, err error) (int, error) {
	if err != nil {
		return 0, fmt.Errorf("receive: %w", err)
	}
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

// securePipe is TLS on such a socket.
type securePipe struct {
	conn  *tls.Conn
	trash []byte
}

func (s securePipe) send(b []byte) error {
	_, err := s.conn.Write(b)
	return err
}

func (s securePipe) receive(b []byte) (int, error) {
	n, err := s.conn.Read(b)
	if n > 0 {
		return n, nil
	}
	return 0, err
}

func (s securePipe) drop(n int64) (int64, error) {
	got, err := s.receive(s.trash[:min(n, int64(len(s.trash)))])
	return int64(got), err
}

// socketConn is the socket as crypto/tls wants it: without the runtime's poller
// in between, whose deadlines the socket has itself.
type socketConn struct {
	net.Conn // nil: what is not defined here is not called
	socketPipe
}

func (s socketConn) Read(b []byte) (int, error)       { return s.receive(b) }
func (s socketConn) Write(b []byte) (int, error)      { return len(b), s.send(b) }
func (s socketConn) Close() error                     { return unix.Close(s.fd) }
func (s socketConn) SetDeadline(time.Time) error      { return nil }
func (s socketConn) SetReadDeadline(time.Time) error  { return nil }
func (s socketConn) SetWriteDeadline(time.Time) error { return nil }

// upgraded makes connection i of a job and upgrades it. The last value is the
// cipher suite of TLS.
func upgraded(job Job, i int) (*frames, string, error) {
	fd, err := blocking(job, i)
	if err != nil {
		return nil, "", err
	}
	bare := socketPipe{fd: fd, trash: make([]byte, bulkBytes)}
	if !job.Web.Secure {
		begun, err := handshake(bare, job.Web, job.Addr.String())
		return newFrames(bare, smallBuffer, begun), "", err
	}
	conn := tls.Client(socketConn{socketPipe: bare}, &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, //nolint:gosec // it measures
	})
	if err := conn.Handshake(); err != nil { //nolint:noctx // the socket has a deadline
		return nil, "", err
	}
	secure := securePipe{conn: conn, trash: make([]byte, secureBuffer)}
	begun, err := handshake(secure, job.Web, job.Addr.String())
	return newFrames(secure, secureBuffer, begun), tls.CipherSuiteName(conn.ConnectionState().CipherSuite), err
}

// handshakeKey is the example of RFC 6455, section 1.3, and handshakeAnswer
// what a server says to it.
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAnswer = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// handshake upgrades a connection and returns what came behind the answer.
func handshake(p pipe, w Web, host string) (begun []byte, err error) {
	err = p.send(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		w.Path, host, handshakeKey, strings.Join(w.Protocols, ", ")))
	if err != nil {
		return nil, err
	}
	head, begun, err := headOf(p)
	if err != nil {
		return nil, fmt.Errorf("read the answer to the upgrade: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // 101 has none
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != handshakeAnswer ||
		resp.Header.Get("Sec-WebSocket-Protocol") != "binary" {
		return nil, fmt.Errorf("the upgrade was answered %q %q", head, begun)
	}
	return begun, nil
}

// headOf reads the head of an answer.
func headOf(p pipe) (head, begun []byte, err error) {
	for buf := make([]byte, smallBuffer); ; {
		n, err := p.receive(buf[len(head):])
		if err != nil {
			return nil, nil, err
		}
		head = buf[:len(head)+n]
		if end := bytes.Index(head, []byte("\r\n\r\n")); end >= 0 {
			return head[:end+4], head[end+4:], nil
		}
		if len(head) == len(buf) {
			return nil, nil, errors.New("the head is too long")
		}
	}
}
