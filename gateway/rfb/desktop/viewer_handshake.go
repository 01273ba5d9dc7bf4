package desktop

import (
	"encoding/binary"
	"fmt"
	"image"
	"slices"
	"time"
)

// handshake mirrors the server's (RFC 6143 sections 7.1 to 7.3), then says
// what pixels and encodings the viewer understands.
func (v *Viewer) handshake() error {
	if err := v.conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	minor, err := v.agreeVersion()
	if err != nil {
		return err
	}
	if err := v.agreeSecurity(minor); err != nil {
		return err
	}
	const shared = 1
	if err := v.say([]byte{shared}); err != nil {
		return err
	}
	if err := v.readInit(); err != nil {
		return err
	}
	return v.say(v.wishes())
}

func (v *Viewer) agreeVersion() (int, error) {
	var said [versionLength]byte
	if err := v.read(said[:]); err != nil {
		return 0, err
	}
	major, minor, err := parseVersion(said)
	if err != nil {
		return 0, err
	}
	if major < 3 {
		return 0, fmt.Errorf("%w: server speaks RFB %d.%d", errProtocol, major, minor)
	}
	if major > 3 {
		minor = 8
	}
	return minor, v.say(fmt.Appendf(nil, "RFB 003.%03d\n", minor))
}

func (v *Viewer) agreeSecurity(minor int) error {
	if minor == 3 {
		var told [4]byte
		if err := v.read(told[:]); err != nil {
			return err
		}
		return v.accept(binary.BigEndian.Uint32(told[:]) == securityNone, told[:])
	}
	count, err := v.in.ReadByte()
	if err != nil {
		return err
	}
	offered := make([]byte, count)
	if err := v.read(offered); err != nil {
		return err
	}
	if err := v.accept(slices.Contains(offered, securityNone), offered); err != nil {
		return err
	}
	if err := v.say([]byte{securityNone}); err != nil || minor < 8 {
		return err
	}
	return v.readResult()
}

// accept goes on when None was offered. A server that offers nothing at all
// says why.
func (v *Viewer) accept(none bool, offered []byte) error {
	switch {
	case none:
		return nil
	case len(offered) == 0 || slices.Equal(offered, []byte{0, 0, 0, securityInvalid}):
		return v.readRefusal()
	default:
		return fmt.Errorf("%w: server wants one of the security types %v, not None", errProtocol, offered)
	}
}

func (v *Viewer) readResult() error {
	var result [4]byte
	if err := v.read(result[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(result[:]) == resultOK {
		return nil
	}
	return v.readRefusal()
}

func (v *Viewer) readRefusal() error {
	reason, err := v.readText(maxReason)
	if err != nil {
		return fmt.Errorf("refused by the server, reason unreadable: %w", err)
	}
	return fmt.Errorf("refused by the server: %q", reason)
}

func (v *Viewer) readInit() error {
	var b [20]byte // width, height and the server's pixel format
	if err := v.read(b[:]); err != nil {
		return err
	}
	w, h := u16(b[0:]), u16(b[2:])
	if w == 0 || h == 0 || w > maxViewerSide || h > maxViewerSide || w*h > maxViewerPixels {
		return fmt.Errorf("%w: a desktop of %d by %d pixels", errProtocol, w, h)
	}
	name, err := v.readText(maxServerName)
	if err != nil {
		return fmt.Errorf("desktop name: %w", err)
	}
	v.name, v.img = name, image.NewRGBA(image.Rect(0, 0, w, h))
	for i := 3; i < len(v.img.Pix); i += 4 {
		v.img.Pix[i] = 255
	}
	return nil
}

func (v *Viewer) readText(most uint32) (string, error) {
	var size [4]byte
	if err := v.read(size[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > most {
		return "", fmt.Errorf("%w: a text of %d bytes", errProtocol, n)
	}
	text := make([]byte, n)
	err := v.read(text)
	return string(text), err
}

// wishes are SetPixelFormat and SetEncodings in one.
func (v *Viewer) wishes() []byte {
	msg := viewerFormat.append([]byte{setPixelFormat, 0, 0, 0})
	msg = append(msg, setEncodings, 0, 0, 2)
	msg = binary.BigEndian.AppendUint32(msg, uint32(encodingHex))
	return binary.BigEndian.AppendUint32(msg, uint32(encodingRaw))
}
