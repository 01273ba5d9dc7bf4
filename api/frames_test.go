package api

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vdi-gateway/gateway"
)

// frame is a frame of RFC 6455 section 5.2 as a client sends it, its mask being
// zero. first has the flags and the opcode.
func frame(first byte, payload string) string {
	head := []byte{first}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	default:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	}
	return string(head) + "\x00\x00\x00\x00" + payload
}

// rawAttach opens a WebSocket and leaves the frames to the test.
func (n *node) rawAttach(token string) (net.Conn, *bufio.Reader) {
	n.t.Helper()
	conn := n.dial()
	fmt.Fprintf(conn, "GET /v3/connect/?token=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", token, n.addr)
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		n.t.Fatalf("got %v %v, want 101", resp, err)
	}
	return conn, reader
}

const (
	fin          = 0x80
	continuation = 0x0
	binaryFrame  = 0x2
	closeFrame   = 0x8
	pingFrame    = 0x9
	pongFrame    = 0xa
)

func TestFrames(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	const ended = "" // the connection ends with a close frame of this code
	for _, tt := range []struct {
		name, sent string
		want       string // must come back, unmasked frames of the VM's echo among it
		code       int
	}{
		{"whole", frame(fin|binaryFrame, "hello"), "hello", 0},
		{"fragmented", frame(binaryFrame, "hel") + frame(continuation, "l") + frame(fin|continuation, "o"), "o", 0},
		{"an empty frame first", frame(fin|binaryFrame, "") + frame(fin|binaryFrame, "hello"), "hello", 0},
		{"an empty message", frame(fin|binaryFrame, ""), "\x82\x00", 0},
		{"an empty message in fragments", frame(binaryFrame, "") + frame(fin|continuation, ""), "\x82\x00", 0},
		{"a ping between fragments", frame(binaryFrame, "hel") + frame(fin|pingFrame, "there") + frame(fin|continuation, "lo"), "there", 0},
		{"a ping of 125 bytes", frame(fin|pingFrame, strings.Repeat("x", 125)), strings.Repeat("x", 125), 0},
		{"an unasked pong", frame(fin|pongFrame, "x") + frame(fin|binaryFrame, "hello"), "hello", 0},
		{"a long form of a short length", string([]byte{fin | binaryFrame, 0x80 | 126, 0, 5, 0, 0, 0, 0}) + "hello", ended, 1002},
		{"more than a frame may hold", string([]byte{fin | binaryFrame, 0x80 | 127, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0}), ended, 1009},
		{"a ping of 126 bytes", frame(fin|pingFrame, strings.Repeat("x", 126)), ended, 1002},
		{"a fragmented ping", frame(pingFrame, "x"), ended, 1002},
		{"unmasked", "\x82\x05hello", ended, 1002},
		{"reserved bits", frame(fin|0x40|binaryFrame, "hello"), ended, 1002},
		{"an unknown opcode", frame(fin|0x3, "hello"), ended, 1002},
		{"a continuation of nothing", frame(fin|continuation, "hello"), ended, 1002},
		{"a second message inside the first", frame(binaryFrame, "hel") + frame(fin|binaryFrame, "lo"), ended, 1002},
		{"a text frame", frame(fin|0x1, "hello"), ended, 1003},
		{"text that is not UTF-8", frame(fin|0x1, "\xff"), ended, 1003},
		{"a negative length", string([]byte{fin | binaryFrame, 0x80 | 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), ended, 1002},
		{"a close", frame(fin|closeFrame, "\x03\xe8"), ended, 1000},
		{"a close without a code", frame(fin|closeFrame, ""), ended, 1005},
		{"a close code nobody may send", frame(fin|closeFrame, "\x03\xed"), ended, 1002},
		{"a close code of one byte", frame(fin|closeFrame, "\x03"), ended, 1002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			grant := n.open(target, `"mode":"websocket"`, `"probe":false`)
			conn, reader := n.rawAttach(grant.Token)
			if _, err := io.WriteString(conn, tt.sent); err != nil {
				t.Fatal(err)
			}
			if tt.want == ended {
				_ = conn.SetReadDeadline(time.Now().Add(soon))
				rest, err := io.ReadAll(reader)
				if err != nil {
					t.Errorf("got %v, want the end", err)
				}
				if got := codeOf(rest); got != tt.code {
					t.Errorf("got code %d in % x, want %d", got, rest, tt.code)
				}
				return
			}
			var got bytes.Buffer
			for !bytes.Contains(got.Bytes(), []byte(tt.want)) {
				b, err := reader.ReadByte()
				if err != nil {
					t.Fatalf("%v after %q, want %q", err, got.Bytes(), tt.want)
				}
				got.WriteByte(b)
			}
		})
	}
	eventually(t, "sessions whose client left have ended", func() bool { return n.active() <= 8 })
}

// codeOf is what the close frame says that ends what a server has sent.
func codeOf(sent []byte) int {
	for i := len(sent) - 2; i >= 0; i-- {
		if sent[i] == fin|closeFrame && int(sent[i+1]) == len(sent)-i-2 {
			if sent[i+1] == 0 {
				return 1005
			}
			return int(binary.BigEndian.Uint16(sent[i+2:]))
		}
	}
	return 0
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // as net returns it
	return ok && timeout.Timeout()
}

// TestHalfAFrameThenSilence: a peer that never finishes its frame answers no
// ping either.
func TestHalfAFrameThenSilence(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *Config, _ *gateway.Config) { c.PingInterval = 50 * time.Millisecond })
	grant := n.open(vm(t), `"mode":"websocket"`)
	conn, reader := n.rawAttach(grant.Token)
	if _, err := io.WriteString(conn, frame(fin|binaryFrame, "hello")[:8]); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * pongTime))
	if _, err := io.Copy(io.Discard, reader); isTimeout(err) {
		t.Errorf("not dropped within %s", 5*pongTime)
	}
}

// TestASlowReaderIsNotDropped: pings queue behind the data it is busy with,
// but it shows life by taking that.
func TestASlowReaderIsNotDropped(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *Config, _ *gateway.Config) { c.PingInterval = 50 * time.Millisecond })
	target := vmDoing(t, func(c net.Conn) {
		for block := make([]byte, 64<<10); ; {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	})
	grant := n.open(target, `"mode":"websocket"`, `"probe":false`)
	_, reader := n.rawAttach(grant.Token)
	bite := time.NewTicker(200 * time.Millisecond)
	defer bite.Stop()
	for began := time.Now(); time.Since(began) < 3*pongTime/2; <-bite.C {
		if _, err := io.CopyN(io.Discard, reader, 256<<10); err != nil {
			t.Fatalf("dropped after %s: %v", time.Since(began), err)
		}
	}
	if n.active() != 1 {
		t.Errorf("got %d active connections, want 1", n.active())
	}
}
