package rfb

import (
	"crypto/des" //nolint:gosec // RFC 6143 section 7.2.2 knows nothing else
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

const (
	challengeLength = 16
	// passwordLength is what VncAuth looks at of a password: a DES key.
	passwordLength = des.BlockSize
)

// vncResponse is the challenge encrypted with the password (RFC 6143 section 7.2.2). Every
// implementation turns the bits of each byte of the key around, which the RFC does not say.
// A longer password is cut, a shorter one filled with zeros.
func vncResponse(password Secret, challenge [challengeLength]byte) (response [challengeLength]byte) {
	var key [passwordLength]byte
	copy(key[:], password.Reveal())
	for i, b := range key {
		key[i] = bits.Reverse8(b)
	}
	block, err := des.NewCipher(key[:]) //nolint:gosec // as above
	if err != nil {
		panic(err) // the key has the right length
	}
	for i := 0; i < challengeLength; i += des.BlockSize {
		block.Encrypt(response[i:], challenge[i:])
	}
	return response
}

// answerChallenge is VncAuth as the client.
func (p *peer) answerChallenge(password Secret) error {
	p.step = "password challenge"
	var challenge [challengeLength]byte
	if err := p.read(challenge[:]); err != nil {
		return err
	}
	response := vncResponse(password, challenge)
	return p.write(response[:]...)
}

// challenge is VncAuth as the server.
func (p *peer) challenge(password Secret) error {
	p.step = "password challenge"
	var challenge, response [challengeLength]byte
	_, _ = rand.Read(challenge[:]) // never fails
	if err := p.write(challenge[:]...); err != nil {
		return err
	}
	if err := p.read(response[:]); err != nil {
		return err
	}
	want := vncResponse(password, challenge)
	if subtle.ConstantTimeCompare(response[:], want[:]) != 1 {
		return p.fail(AuthFailed, "wrong password")
	}
	return nil
}

// What X509Plain carries of a user and of a password, in bytes.
const maxCredential = 1024

// sendPlain says user and password, which TLS protects.
func (p *peer) sendPlain(user string, password Secret) error {
	p.step = "user and password"
	msg := binary.BigEndian.AppendUint32(nil, uint32(len(user)))
	msg = binary.BigEndian.AppendUint32(msg, uint32(len(password)))
	msg = append(msg, user...)
	return p.write(append(msg, password.Reveal()...)...)
}

// readPlain hears them.
func (p *peer) readPlain() (user string, password Secret, err error) {
	p.step = "user and password"
	var sizes [8]byte
	if err := p.read(sizes[:]); err != nil {
		return "", "", err
	}
	u, s := binary.BigEndian.Uint32(sizes[:4]), binary.BigEndian.Uint32(sizes[4:])
	if u > maxCredential || s > maxCredential {
		return "", "", p.fail(Protocol, "a user of %d bytes with a password of %d", u, s)
	}
	text := make([]byte, u+s)
	if err := p.read(text); err != nil {
		return "", "", err
	}
	return string(text[:u]), Secret(text[u:]), nil
}
