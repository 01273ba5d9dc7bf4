package peer

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	instanceSize = 16
	fixedSize    = 8 + 16 + 16 + instanceSize + 1
)

// instance is one life of a Server.
type instance [instanceSize]byte

// request is what is sealed in a request.
type request struct {
	at       time.Time
	from, to netip.Addr
	instance instance
	name     string
	body     []byte
}

// encode returns the plaintext of r.
func (r request) encode() []byte {
	from, to := r.from.As16(), r.to.As16()
	p := make([]byte, 0, fixedSize+len(r.name)+len(r.body))
	p = binary.BigEndian.AppendUint64(p, uint64(r.at.UnixNano()))
	p = append(p, from[:]...)
	p = append(p, to[:]...)
	p = append(p, r.instance[:]...)
	p = append(p, byte(len(r.name)))
	p = append(p, r.name...)
	return append(p, r.body...)
}

// parseRequest undoes encode; the body is part of p.
func parseRequest(p []byte) (r request, ok bool) {
	if len(p) < fixedSize || len(p) < fixedSize+int(p[fixedSize-1]) {
		return r, false
	}
	r.at = time.Unix(0, int64(binary.BigEndian.Uint64(p)))
	r.from = netip.AddrFrom16([16]byte(p[8:])).Unmap()
	r.to = netip.AddrFrom16([16]byte(p[24:])).Unmap()
	r.instance = instance(p[40:])
	name, rest := int(p[fixedSize-1]), p[fixedSize:]
	r.name, r.body = string(rest[:name]), rest[name:]
	return r, true
}

// What an answer is: its first byte.
const (
	success byte = iota // the body follows
	failed              // length of the code, the code, the message
	meet                // the receiver's instance, which the request did not name
)

func encodeFailure(f *Failure) []byte {
	code, message := f.Code[:min(len(f.Code), 255)], f.Message[:min(len(f.Message), 64<<10)]
	p := append([]byte{failed, byte(len(code))}, code...)
	return append(p, message...)
}

// parseFailure undoes encodeFailure, without its first byte.
func parseFailure(p []byte) (*Failure, bool) {
	if len(p) < 1 || len(p) < 1+int(p[0]) {
		return nil, false
	}
	code := 1 + int(p[0])
	return &Failure{Code: string(p[1:code]), Message: string(p[code:])}, true
}
