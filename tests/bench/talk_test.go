package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// link is a TCP connection to itself.
func link(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), other.Close() })
	return c.(*net.TCPConn), other.(*net.TCPConn)
}

func soonSo(t *testing.T, what string, is func() bool) {
	t.Helper()
	if err := await(t.Context(), is); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestTalk(t *testing.T) {
	for m := range manners {
		client, vm := link(t)
		talk := newTalk(7, client, vm, m, time.Millisecond)
		if got, want := len(talk.voices), map[manner]int{vmTalks: 1, clientTalks: 1, bothTalk: 2}[m]; got != want {
			t.Errorf("manner %d: got %d voices, want %d", m, got, want)
		}
		for _, v := range talk.voices {
			soonSo(t, "words are heard", func() bool { _, heard := v.count(); return heard > 5 })
		}
		talk.hush()
		soonSo(t, "all is heard", talk.complete)
		if err := talk.lost(); err != nil {
			t.Errorf("manner %d: got %v, want nothing lost", m, err)
		}
		talk.close()
		if err := talk.lost(); err == nil {
			t.Errorf("manner %d: closed: got nothing lost, want an error", m)
		}
	}
}

// A pause begins with the last word before it, and counts once it is over.
func TestStall(t *testing.T) {
	begin := time.Unix(100, 0)
	v := &voice{last: begin}
	talk := &talk{interval: 20 * time.Millisecond, voices: []*voice{v}}
	for n, at := range []time.Duration{20, 40, 340, 360} {
		if n == 1 {
			v.watch()
		}
		if err := v.hears([2]uint64{0, uint64(n)}, begin.Add(at*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := talk.stall(), 280*time.Millisecond; got != want {
		t.Errorf("got a stall of %s, want %s", got, want)
	}
	v.watch()
	if got := talk.stall(); got > 0 {
		t.Errorf("watched anew: got a stall of %s, want none", got)
	}
}

func TestWrongWordsAreNoticed(t *testing.T) {
	word := func(number, n uint64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, number), n)
	}
	for name, second := range map[string][]byte{
		"a word twice": word(7, 0), "a word left out": word(7, 2), "another talk": word(8, 1),
	} {
		r, w := io.Pipe()
		go func() {
			_, _ = w.Write(append(word(7, 0), second...))
			_ = w.Close()
		}()
		if err := (&voice{number: 7}).listen(r); !errors.Is(err, errWrong) {
			t.Errorf("%s: got %v, want errWrong", name, err)
		}
	}
}

// Who is lost has the bound as its stall, and who is not has its own.
func TestFinishTellsWhoIsLost(t *testing.T) {
	c := &crowd{}
	for i := range uint64(3) {
		client, vm := link(t)
		c.talks = append(c.talks, newTalk(i, client, vm, bothTalk, time.Millisecond))
	}
	soonSo(t, "words are heard", func() bool { _, heard := c.talks[1].voices[0].count(); return heard > 5 })
	_ = c.talks[1].vm.SetLinger(0)
	_ = c.talks[1].vm.Close()
	c.watch()
	all, lost, err := c.finish(t.Context(), lostStall)
	if err != nil || lost != 1 || len(all) != 3 || all[1] != lostStall || all[0] >= lostStall || all[2] >= lostStall {
		t.Errorf("got %v, %d lost and %v, want the second one lost", all, lost, err)
	}
	for _, talk := range c.talks {
		talk.close()
	}
}

// A machine that works is seen to.
func TestWorked(t *testing.T) {
	before, err := worked()
	if err != nil {
		t.Fatal(err)
	}
	soonSo(t, "time is counted", func() bool {
		for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
			continue
		}
		after, err := worked()
		return err == nil && after > before
	})
}
