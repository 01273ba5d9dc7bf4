package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"vdi-gateway/tests/bench/figure"
)

// wordBytes is the size of a word: the number of its talk, and its own.
const wordBytes = 16

// manner says who talks in a session.
type manner int

const (
	vmTalks manner = iota
	clientTalks
	bothTalk
	manners
)

// talk is a session whose ends say a word now and then, and check what they hear.
type talk struct {
	number       uint64
	client, vm   *net.TCPConn
	voices       []*voice
	interval     time.Duration
	conversation sync.WaitGroup
}

// newTalk has a session begin to talk.
func newTalk(number uint64, client, vm *net.TCPConn, m manner, interval time.Duration) *talk {
	t := &talk{number: number, client: client, vm: vm, interval: interval}
	if m != clientTalks {
		t.begin(vm, client)
	}
	if m != vmTalks {
		t.begin(client, vm)
	}
	return t
}

func (t *talk) begin(from, to *net.TCPConn) {
	v := &voice{number: t.number, stop: make(chan struct{}), last: time.Now()}
	t.voices = append(t.voices, v)
	t.conversation.Go(func() { v.fail(v.speak(from, t.interval)) })
	t.conversation.Go(func() { v.fail(v.listen(to)) })
}

// stall is the longest pause at either end since watch, less the interval in which a
// word comes anyway.
func (t *talk) stall() (longest time.Duration) {
	for _, v := range t.voices {
		longest = max(longest, v.longest()-t.interval)
	}
	return longest
}

// lost is why not all was heard that was said; nil: it was, or is on its way.
func (t *talk) lost() error {
	for _, v := range t.voices {
		if err := v.failed(); err != nil {
			return err
		}
	}
	return nil
}

// complete tells whether all was heard.
func (t *talk) complete() bool {
	for _, v := range t.voices {
		if said, heard := v.count(); said != heard {
			return false
		}
	}
	return true
}

// hush has everybody be quiet, and goes on listening.
func (t *talk) hush() {
	for _, v := range t.voices {
		v.hush.Do(func() { close(v.stop) })
	}
}

func (t *talk) close() {
	t.hush()
	_, _ = t.client.Close(), t.vm.Close()
	t.conversation.Wait()
}

// voice is one direction of a talk.
type voice struct {
	number uint64
	hush   sync.Once
	stop   chan struct{}

	mu          sync.Mutex
	said, heard uint64
	last        time.Time
	pause       time.Duration
	err         error // the first reason why words get lost
}

// speak says a word at an interval. Talks do not all begin at the same moment.
func (v *voice) speak(to io.Writer, interval time.Duration) error {
	time.Sleep(interval * time.Duration(v.number*7919%1000) / 1000)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-v.stop:
			return nil
		case <-tick.C:
		}
		v.mu.Lock()
		word := v.word(v.said)
		v.said++
		v.mu.Unlock()
		if _, err := to.Write(word); err != nil {
			return err
		}
	}
}

func (v *voice) word(n uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, v.number), n)
}

// listen hears words, which have to come in their order.
func (v *voice) listen(from io.Reader) error {
	r, word := bufio.NewReaderSize(from, 16*wordBytes), make([]byte, wordBytes)
	for {
		if _, err := io.ReadFull(r, word); err != nil {
			return err
		}
		if err := v.hears([2]uint64{binary.BigEndian.Uint64(word), binary.BigEndian.Uint64(word[8:])}, time.Now()); err != nil {
			return err
		}
	}
}

func (v *voice) hears(word [2]uint64, now time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if word[0] != v.number || word[1] != v.heard {
		return fmt.Errorf("%w: talk %d: got word %d of talk %d, want word %d", errWrong, v.number, word[1], word[0], v.heard)
	}
	v.heard++
	v.pause, v.last = max(v.pause, now.Sub(v.last)), now
	return nil
}

func (v *voice) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.err = err
	}
}

func (v *voice) failed() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// watch forgets the pauses there were so far.
func (v *voice) watch() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pause = 0
}

func (v *voice) longest() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.pause
}

func (v *voice) count() (said, heard uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.said, v.heard
}

// stalls are the pauses of sessions: median, p99 and worst in milliseconds.
type stalls [3]float64

func stallsOf(all []time.Duration) (s stalls) {
	for i, part := range []float64{0.5, 0.99, 1} {
		s[i] = figure.Milliseconds(figure.Percentile(all, part))
	}
	return s
}
