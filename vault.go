package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// vaultKeySize selects AES-256.
const vaultKeySize = 32

// errSealedElsewhere is what is said of what another key has sealed.
var errSealedElsewhere = errors.New("it was sealed under another key than this node has now")

// vault seals the passwords of VMs for as long as the database keeps them, under a key in
// a file of its own: a copy of the database alone gives nothing away. The file is made
// when it is first needed; without it, what was sealed is lost, and no more than that.
type vault struct {
	path string

	mu   sync.Mutex
	aead cipher.AEAD
}

// newVault is the vault beside a database.
func newVault(database string) *vault {
	return &vault{path: strings.TrimSuffix(database, filepath.Ext(database)) + ".key"}
}

// seal returns plain so that open alone can read it, for the same name.
func (v *vault) seal(name, plain []byte) ([]byte, error) {
	aead, err := v.opened()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails, says crypto/rand
	return aead.Seal(nonce, nonce, plain, name), nil
}

// open undoes seal.
func (v *vault) open(name, sealed []byte) ([]byte, error) {
	aead, err := v.opened()
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errSealedElsewhere
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], name)
	if err != nil {
		return nil, errSealedElsewhere
	}
	return plain, nil
}

// opened reads the key, or makes one.
func (v *vault) opened() (cipher.AEAD, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.aead != nil {
		return v.aead, nil
	}
	key, err := readVaultKey(v.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeVaultKey(v.path); err == nil {
			key, err = readVaultKey(v.path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the key that seals passwords of VMs: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err == nil {
		v.aead, err = cipher.NewGCM(block)
	}
	return v.aead, err
}

func readVaultKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may read %s: chmod 600 it", path)
	}
	text := make([]byte, 2*vaultKeySize+2)
	n, _ := f.Read(text)
	key, err := hex.DecodeString(string(bytes.TrimSpace(text[:n])))
	if err != nil || len(key) != vaultKeySize {
		return nil, fmt.Errorf("%s has to be %d bytes in hex; remove it, and passwords sealed until now are lost", path, vaultKeySize)
	}
	return key, nil
}

// makeVaultKey makes the file, whole or not at all; one that is there stays.
func makeVaultKey(path string) error {
	key := make([]byte, vaultKeySize)
	_, _ = rand.Read(key)                                                     // never fails, says crypto/rand
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has its name by then, or is of no use
	_, err = fmt.Fprintf(f, "%x\n", key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
