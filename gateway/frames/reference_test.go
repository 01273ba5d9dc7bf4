package frames_test

import (
	"encoding/binary"
	"slices"

	"vdi-gateway/gateway/frames"
)

// frame is a frame of RFC 6455 section 5.2 as a client sends it. first has the flags
// and the opcode.
func frame(first byte, payload string, mask [4]byte) []byte {
	head := []byte{first}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	return append(head, masked(payload, mask)...)
}

func masked(payload string, mask [4]byte) []byte {
	b := mask[:]
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// control is a control frame as a decoder tells it.
type control struct {
	op      byte
	payload string
	code    int
}

// verdict is what becomes of a client's bytes.
type verdict struct {
	data     string
	controls []control
	at       []int // how much data came before each
	code     int   // of the violation; 0: none
	over     bool  // bytes came behind a close frame
}

// reference is a decoder that is as simple as it can be: it has all bytes at once,
// and looks at one frame after the other as the sections of the RFC say.
func reference(raw []byte) (v verdict) {
	inside, some := false, false
	for len(raw) >= 2 {
		if n := len(v.controls); n > 0 && v.controls[n-1].op == 8 {
			v.over = true
			return v
		}
		last, op, hasMask, length := raw[0]&0x80 != 0, raw[0]&0x0f, raw[1]&0x80 != 0, uint64(raw[1]&0x7f)
		known := slices.Contains([]byte{0, 1, 2, 8, 9, 10}, op)
		bad := raw[0]&0x70 != 0 || !known || !hasMask ||
			op == 2 && inside || op == 0 && !inside || op >= 8 && (!last || length > 125)
		if op == 1 && raw[0]&0x70 == 0 && hasMask {
			v.code = 1003
			return v
		}
		if bad {
			v.code = 1002
			return v
		}
		raw = raw[2:]
		switch {
		case length == 126 && len(raw) < 2, length == 127 && len(raw) < 8:
			return v
		case length == 126:
			length, raw = uint64(binary.BigEndian.Uint16(raw)), raw[2:]
			bad = length < 126
		case length == 127:
			length, raw = binary.BigEndian.Uint64(raw), raw[8:]
			bad = length < 65536 || length >= 1<<63
		}
		if len(raw) < 4 {
			return v
		}
		switch {
		case bad:
			v.code = 1002
			return v
		case length > 16<<20:
			v.code = 1009
			return v
		}
		key := raw[:4]
		raw = raw[4:]
		whole := uint64(len(raw)) >= length
		payload := make([]byte, min(length, uint64(len(raw))))
		for i := range payload {
			payload[i] = raw[i] ^ key[i%4]
		}
		raw = raw[len(payload):]
		switch {
		case op < 8:
			v.data += string(payload)
			inside, some = !last, some || len(payload) > 0
			if whole && last && !some {
				v.controls, v.at = append(v.controls, control{frames.OpEmpty, "", 0}), append(v.at, len(v.data))
			}
			some = some && !(whole && last)
		case whole && op == 8:
			code := 1005
			if len(payload) >= 2 {
				code = int(payload[0])<<8 | int(payload[1])
			}
			named := code >= 1000 && code <= 1014 && code != 1004 && code != 1006 && (code != 1005 || len(payload) == 0)
			switch {
			case len(payload) == 1 || !named && (code < 3000 || code > 4999):
				v.code = 1002
				return v
			case len(payload) > 2 && !validUTF8(payload[2:]):
				v.code = 1007
				return v
			}
			v.controls, v.at = append(v.controls, control{op, string(payload), code}), append(v.at, len(v.data))
		case whole:
			v.controls, v.at = append(v.controls, control{op, string(payload), 0}), append(v.at, len(v.data))
		}
	}
	n := len(v.controls)
	v.over = n > 0 && v.controls[n-1].op == 8 && len(raw) > 0
	return v
}

// validUTF8 compares with what a conversion makes of it.
func validUTF8(b []byte) bool {
	return slices.Equal([]byte(string([]rune(string(b)))), b)
}

// decoded is what a Decoder makes of bytes that come in reads of the sizes given, the
// last of them again and again.
func decoded(raw []byte, sizes []int) (v verdict) {
	var d frames.Decoder
	for len(raw) > 0 {
		n := len(raw)
		if len(sizes) > 0 {
			n = min(max(sizes[0], 1), n)
		}
		if len(sizes) > 1 {
			sizes = sizes[1:]
		}
		rest := slices.Clone(raw[:n])
		raw = raw[n:]
		for len(rest) > 0 {
			data, left, c, err := d.Next(rest)
			v.data += string(data)
			if c.Op != 0 {
				v.controls, v.at = append(v.controls, control{c.Op, string(c.Payload), c.Code}), append(v.at, len(v.data))
			}
			if bad, ok := err.(*frames.Violation); ok { //nolint:errorlint // as it is promised
				v.code = bad.Code
				return v
			}
			if err != nil {
				v.over = true
				return v
			}
			rest = left
		}
	}
	return v
}
