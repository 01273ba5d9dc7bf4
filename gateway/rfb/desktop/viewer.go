package desktop

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"net"
	"sync"
	"time"
)

// What a viewer accepts of a server.
const (
	maxServerName   = 4096
	maxReason       = 1024
	maxViewerSide   = 8192
	maxViewerPixels = 1 << 24
	updateTimeout   = 15 * time.Second
)

// viewerFormat stores pixels as image.RGBA does, its fourth byte unused.
var viewerFormat = pixelFormat{
	bitsPerPixel: 32, depth: 24, trueColour: true,
	redMax: 255, greenMax: 255, blueMax: 255,
	redShift: 0, greenShift: 8, blueShift: 16,
}

// Viewer is a VNC client without a window: it holds the picture in memory.
// It speaks RFB 3.3, 3.7 and 3.8 to any server that offers security type
// None. Update and Image belong to one goroutine; Key, Pointer and Close may
// be called from others.
type Viewer struct {
	conn net.Conn
	in   *bufio.Reader
	name string
	img  *image.RGBA
	took int64 // bytes of the message being read

	mu sync.Mutex // held while writing
}

// Frame is one update as it came.
type Frame struct {
	Rects int   // rectangles
	Bytes int64 // on the wire, the message's header included
}

// NewViewer shakes hands with the server on conn within 10 s and asks for
// Hextile or Raw in 32 bits. The viewer owns conn from then on; on an error
// conn is closed.
func NewViewer(conn net.Conn) (*Viewer, error) {
	v := &Viewer{conn: conn}
	v.in = bufio.NewReaderSize(readCounter{conn, &v.took}, 1<<15)
	if err := v.handshake(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("VNC handshake with %s: %w", conn.RemoteAddr(), err)
	}
	return v, nil
}

// Name is the desktop's name as the server gave it.
func (v *Viewer) Name() string { return v.name }

// Size is the desktop's width and height in pixels.
func (v *Viewer) Size() (width, height int) { return v.img.Rect.Dx(), v.img.Rect.Dy() }

// Image is the picture as of the last update: black before the first. The
// next Update draws into the same image.
func (v *Viewer) Image() *image.RGBA { return v.img }

// Close ends the connection. An Update in progress returns an error.
func (v *Viewer) Close() error { return v.conn.Close() }

// Key presses and releases a key, by its X11 keysym.
func (v *Viewer) Key(keysym uint32) error {
	msg := binary.BigEndian.AppendUint32([]byte{keyEvent, 1, 0, 0}, keysym)
	msg = append(msg, keyEvent, 0, 0, 0)
	return v.say(binary.BigEndian.AppendUint32(msg, keysym))
}

// Pointer moves the pointer to x, y with the buttons of the mask held: 1 is
// the left one, 2 the middle, 4 the right.
func (v *Viewer) Pointer(x, y int, buttons uint8) error {
	msg := binary.BigEndian.AppendUint16([]byte{pointerEvent, buttons}, uint16(x))
	return v.say(binary.BigEndian.AppendUint16(msg, uint16(y)))
}

// Update asks for the whole picture, or with incremental for what changed
// since the last update, and applies the answer. A server may wait with an
// incremental answer until something changes; after 15 s without the whole
// answer Update returns an error, and the viewer is of no more use.
func (v *Viewer) Update(incremental bool) (Frame, error) {
	if err := v.conn.SetReadDeadline(time.Now().Add(updateTimeout)); err != nil {
		return Frame{}, err
	}
	if err := v.request(incremental); err != nil {
		return Frame{}, fmt.Errorf("ask for an update: %w", err)
	}
	f, err := v.readUpdate()
	if err != nil {
		return Frame{}, fmt.Errorf("read an update: %w", err)
	}
	return f, nil
}

func (v *Viewer) request(incremental bool) error {
	w, h := v.Size()
	msg := []byte{updateRequest, flag(incremental), 0, 0, 0, 0}
	msg = binary.BigEndian.AppendUint16(msg, uint16(w))
	return v.say(binary.BigEndian.AppendUint16(msg, uint16(h)))
}

func (v *Viewer) say(msg []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := v.conn.Write(msg)
	return err
}

// read fills b from the server.
func (v *Viewer) read(b []byte) error {
	_, err := io.ReadFull(v.in, b)
	return err
}

// readCounter counts what has been read from the connection.
type readCounter struct {
	io.Reader
	n *int64
}

func (r readCounter) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	*r.n += int64(n)
	return n, err
}
