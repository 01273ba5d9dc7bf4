package xvnc

import (
	"crypto/des" //nolint:gosec // what VNC has
	"math/bits"
	"os"
	"path/filepath"
	"testing"
)

// PasswordFile writes a file as vncpasswd does: eight bytes, made unreadable with DES
// and a key that every VNC server knows.
func PasswordFile(t testing.TB, password string) string {
	t.Helper()
	c, err := des.NewCipher([]byte{0xe8, 0x4a, 0xd6, 0x60, 0xc4, 0x72, 0x1a, 0xe0}) //nolint:gosec // as above
	if err != nil {
		t.Fatal(err)
	}
	var block [8]byte
	copy(block[:], password)
	c.Encrypt(block[:], block[:])
	file := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(file, block[:], 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Response is a challenge of VncAuth encrypted with a password, as RFC 6143 and every
// implementation have it: the bits of each byte of the key turned around.
func Response(t testing.TB, password string, challenge []byte) []byte {
	t.Helper()
	var key [8]byte
	copy(key[:], password)
	for i, b := range key {
		key[i] = bits.Reverse8(b)
	}
	c, err := des.NewCipher(key[:]) //nolint:gosec // as above
	if err != nil {
		t.Fatal(err)
	}
	response := make([]byte, len(challenge))
	for i := 0; i+8 <= len(challenge); i += 8 {
		c.Encrypt(response[i:], challenge[i:])
	}
	return response
}
