package peer

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

const (
	wireVersion = 1
	keyIDSize   = 8
	saltSize    = 16
	headerSize  = 1 + keyIDSize + saltSize + 8
	tagSize     = 16

	// maxSenders bounds the senders a box remembers. Only who has the key
	// becomes one: 16 nodes that restart often stay far below.
	maxSenders = 256
	// memory is how long a sender is remembered at least: a request of the
	// future, by MaxSkew, is too old after twice that.
	memory = 2 * MaxSkew
)

// Directions: part of the derivation, so that no request passes for an answer.
const (
	requests = "request"
	answers  = "answer"
)

// header is the part of a message that is not secret, and its id.
type header [headerSize]byte

func (h *header) count() uint64 { return binary.BigEndian.Uint64(h[headerSize-8:]) }

// senderID is key id and salt of a header.
type senderID [keyIDSize + saltSize]byte

func (h *header) sender() senderID { return senderID(h[1:]) }

// sender is a subkey and what was heard under it.
type sender struct {
	id   senderID
	aead cipher.AEAD

	mu     sync.Mutex
	window window
	heard  time.Time
}

// box seals messages of one direction, and opens those that others sealed.
type box struct {
	direction string
	secrets   map[[keyIDSize]byte][]byte // pseudorandom key by id
	first     [keyIDSize]byte            // the one that seals requests
	salt      [saltSize]byte
	own       map[[keyIDSize]byte]cipher.AEAD
	count     atomic.Uint64

	mu    sync.Mutex
	known map[senderID]*sender
}

func newBox(direction string, keys []string) *box {
	b := &box{
		direction: direction, secrets: map[[keyIDSize]byte][]byte{},
		own: map[[keyIDSize]byte]cipher.AEAD{}, known: map[senderID]*sender{},
	}
	_, _ = rand.Read(b.salt[:]) // never fails
	for i, key := range keys {
		secret := must(hkdf.Extract(sha256.New, []byte(key), []byte("vdi-gateway node to node")))
		id := [keyIDSize]byte(must(hkdf.Expand(sha256.New, secret, "key id", keyIDSize)))
		if i == 0 {
			b.first = id
		}
		b.secrets[id] = secret
		b.own[id] = b.subkey(secret, b.salt[:])
	}
	return b
}

// subkey is what one sender seals with under one key.
func (b *box) subkey(secret, salt []byte) cipher.AEAD {
	key := must(hkdf.Expand(sha256.New, secret, b.direction+string(salt), 32))
	return must(cipher.NewGCM(must(aes.NewCipher(key))))
}

// must is for calls that fail only on lengths, and those are constants.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// seal appends header and ciphertext of plain, under the key of this id, to
// nothing. context is authenticated as well.
func (b *box) seal(key [keyIDSize]byte, context, plain []byte) (sealed []byte, id header) {
	id[0] = wireVersion
	copy(id[1:], key[:])
	copy(id[1+keyIDSize:], b.salt[:])
	binary.BigEndian.PutUint64(id[headerSize-8:], b.count.Add(1))
	sealed = append(make([]byte, 0, headerSize+len(plain)+tagSize), id[:]...)
	return b.own[key].Seal(sealed, id.nonce(), plain, id.with(context)), id
}

// open returns what is inside sealed, in its place, and who sealed it; ok is
// false when nobody did who has one of the keys.
func (b *box) open(context, sealed []byte) (plain []byte, id header, from *sender, ok bool) {
	if len(sealed) < headerSize+tagSize || sealed[0] != wireVersion {
		return nil, id, nil, false
	}
	id = header(sealed)
	from = b.find(id.sender())
	if from == nil {
		return nil, id, nil, false
	}
	plain, err := from.aead.Open(sealed[headerSize:headerSize], id.nonce(), sealed[headerSize:], id.with(context))
	return plain, id, from, err == nil
}

func (h *header) nonce() []byte { return append(make([]byte, 4, 12), h[headerSize-8:]...) }

func (h *header) with(context []byte) []byte {
	return append(append(make([]byte, 0, len(context)+headerSize), context...), h[:]...)
}

// find returns the sender, remembered or not; nil when there is no such key.
func (b *box) find(id senderID) *sender {
	b.mu.Lock()
	s := b.known[id]
	b.mu.Unlock()
	if s != nil {
		return s
	}
	secret := b.secrets[[keyIDSize]byte(id[:])]
	if secret == nil {
		return nil
	}
	return &sender{id: id, aead: b.subkey(secret, id[keyIDSize:])}
}

// hear remembers that s sent the message of this count at now. It is false for
// one heard before, or when there is no room to remember.
func (b *box) hear(s *sender, count uint64, now time.Time) bool {
	b.mu.Lock()
	if known := b.known[s.id]; known != nil {
		s = known // another request came first
	} else if !b.room(now) {
		b.mu.Unlock()
		return false
	} else {
		b.known[s.id] = s
	}
	b.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = now
	return s.window.add(count)
}

// room forgets senders that fell silent when there are too many. The caller
// holds mu.
func (b *box) room(now time.Time) bool {
	if len(b.known) < maxSenders {
		return true
	}
	for id, s := range b.known {
		s.mu.Lock()
		if now.Sub(s.heard) > memory {
			delete(b.known, id)
		}
		s.mu.Unlock()
	}
	return len(b.known) < maxSenders
}
