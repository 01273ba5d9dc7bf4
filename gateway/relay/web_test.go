package relay_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"vdi-gateway/gateway/frames"
	"vdi-gateway/gateway/relay"
)

// far is the far end of a leg.
type far interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
}

// web is a client that speaks frames: it cuts what it writes at random, and looks
// closely at what it gets. What it was given to write counts as written once it has
// begun a frame with it.
type web struct {
	net.Conn

	mu   sync.Mutex
	rand *rand.Rand
	owed []byte // of a frame that is under way
	bye  bool   // it has sent a close frame

	in     []byte // read and not looked at
	left   int    // of a frame of data
	code   int    // of the close frame it got; 0: none
	reason string
	pongs  int
	pings  int
	mute   bool // it answers no ping
}

func newWeb(c *net.TCPConn, seed uint64) *web {
	return &web{Conn: c, rand: rand.New(rand.NewPCG(seed, 2))}
}

// webFrame is a frame of a client. first has the flags and the opcode.
func webFrame(first byte, payload []byte, mask [4]byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i, x := range payload {
		b = append(b, x^mask[i&3])
	}
	return b
}

func (w *web) frame(first byte, payload []byte) []byte {
	var mask [4]byte
	binary.NativeEndian.PutUint32(mask[:], w.rand.Uint32())
	return webFrame(first, payload, mask)
}

// flush sends what is owed.
func (w *web) flush() error {
	n, err := w.Conn.Write(w.owed)
	w.owed = w.owed[n:]
	return err
}

// Write sends p: whole, or in fragments, now and then with something between.
func (w *web) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for err = w.flush(); err == nil && len(p) > 0; err = w.flush() {
		part := p[:min(len(p), 1+w.rand.IntN(1<<w.rand.IntN(20)))]
		p, n = p[len(part):], n+len(part)
		switch w.rand.IntN(6) {
		case 0:
			at := w.rand.IntN(len(part) + 1)
			w.owed = append(w.owed, w.frame(0x02, part[:at])...)
			w.owed = append(w.owed, w.frame(0x89, []byte("there"))...)
			w.owed = append(w.owed, w.frame(0x80, part[at:])...)
		case 1:
			w.owed = append(w.owed, w.frame(0x82, nil)...)
			w.owed = append(w.owed, w.frame(0x82, part)...)
		default:
			w.owed = append(w.owed, w.frame(0x82, part)...)
		}
	}
	return n, err
}

// SetLinger is that of TCP.
func (w *web) SetLinger(sec int) error { return w.Conn.(*net.TCPConn).SetLinger(sec) }

// CloseWrite sends a close frame.
func (w *web) CloseWrite() error { return w.bid(1000, "") }

func (w *web) bid(code int, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bye {
		return nil
	}
	w.bye = true
	w.owed = append(w.owed, w.frame(0x88, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))...)
	return w.flush()
}

// Read reads payload. The end is a close frame, which is answered.
func (w *web) Read(p []byte) (int, error) {
	for {
		if w.code != 0 {
			return 0, io.EOF
		}
		if n := copy(p, w.in[:min(w.left, len(w.in))]); n > 0 {
			w.in, w.left = w.in[n:], w.left-n
			return n, nil
		}
		done, err := w.look()
		if err != nil {
			return 0, err
		}
		if done {
			continue
		}
		more := make([]byte, 64<<10)
		n, err := w.Conn.Read(more)
		w.in = append(w.in, more[:n]...)
		if n == 0 {
			if err == io.EOF { //nolint:errorlint // as net returns it
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// look takes a frame's header, or a whole control frame; false: it is not there yet.
func (w *web) look() (bool, error) {
	if w.left > 0 || len(w.in) < 2 {
		return false, nil
	}
	first, n, at := w.in[0], int(w.in[1]), 2
	least := 0
	switch n {
	case 126:
		least, at = 126, 4
	case 127:
		least, at = 1<<16, 10
	}
	if len(w.in) < at {
		return false, nil
	}
	switch n {
	case 126:
		n = int(binary.BigEndian.Uint16(w.in[2:]))
	case 127:
		n = int(binary.BigEndian.Uint64(w.in[2:]))
	}
	if n < least || w.in[1]&0x80 != 0 {
		return false, fmt.Errorf("a frame of %d bytes begins with % x", n, w.in[:at])
	}
	if first == 0x82 {
		w.in, w.left = w.in[at:], n
		return true, nil
	}
	if len(w.in) < at+n {
		return false, nil
	}
	payload := bytes.Clone(w.in[at : at+n])
	w.in = w.in[at+n:]
	return true, w.control(first, payload)
}

func (w *web) control(first byte, payload []byte) error {
	switch {
	case first == 0x8a:
		w.pongs++
	case first == 0x89:
		w.pings++
		if !w.mute {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.owed = append(w.owed, w.frame(0x8a, payload)...)
			return w.flush()
		}
	case first == 0x88 && len(payload) == 0:
		w.code = 1005
		return io.EOF
	case first == 0x88 && len(payload) > 1:
		w.code, w.reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
		_ = w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_ = w.bid(w.code, "") // it may be gone
		return io.EOF
	default:
		return fmt.Errorf("got a frame that begins with %#x", first)
	}
	return nil
}

// streamLeg is a WebSocket's leg.
func streamLeg(c *net.TCPConn) net.Conn { return frames.NewStream(c, c, nil) }

// webTunnel is a tunnel whose client speaks frames.
type webTunnel struct {
	*tunnel
	web *web
}

func openWeb(t testing.TB, e *relay.Engine, opt relay.Options) *webTunnel {
	t.Helper()
	tun := openOver(t, e, opt, streamLeg)
	return &webTunnel{tun, newWeb(tun.client, 1)}
}

// told wants a client's close frame, whatever comes before it.
func (tun *webTunnel) told(code int, reason string) {
	tun.t.Helper()
	_, err := io.Copy(io.Discard, tun.web)
	if err != nil || tun.web.code != code || tun.web.reason != reason {
		tun.t.Errorf("got %d %q (%v), want the close frame %d %q", tun.web.code, tun.web.reason, err, code, reason)
	}
}
