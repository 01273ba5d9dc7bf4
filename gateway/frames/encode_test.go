package frames_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"vdi-gateway/gateway/frames"
)

func TestHeaders(t *testing.T) {
	for _, tt := range []struct {
		n    int
		want string
	}{
		{0, "\x82\x00"},
		{125, "\x82\x7d"},
		{126, "\x82\x7e\x00\x7e"},
		{65535, "\x82\x7e\xff\xff"},
		{65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
	} {
		got := frames.AppendHeader([]byte("before"), tt.n)
		if string(got) != "before"+tt.want || len(tt.want) > frames.HeaderMax {
			t.Errorf("%d bytes: got % x, want % x behind what was there", tt.n, got, tt.want)
		}
	}
}

func TestControlFrames(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 126)
	for _, tt := range []struct {
		name, got, want string
	}{
		{"ping", string(frames.AppendControl(nil, frames.OpPing, nil)), "\x89\x00"},
		{"pong", string(frames.AppendControl(nil, frames.OpPong, []byte("there"))), "\x8a\x05there"},
		{"a payload that does not fit", string(frames.AppendControl(nil, frames.OpPong, large)), "\x8a\x00"},
		{"close", string(frames.AppendClose(nil, frames.StatusNormal, "vm_closed")), "\x88\x0b\x03\xe8vm_closed"},
		{"close without a code", string(frames.AppendClose(nil, frames.StatusNone, "lost")), "\x88\x00"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestALongReasonIsCutBetweenLetters(t *testing.T) {
	for more := range 4 {
		b := frames.AppendClose(nil, frames.StatusInternal, strings.Repeat("x", more)+strings.Repeat("ß", 100))
		if reason := b[4:]; len(b) > 127 || int(b[1]) != len(b)-2 || !utf8.Valid(reason) || len(reason) < 122 {
			t.Errorf("got % x, want a close frame of at most 125 bytes, its reason UTF-8", b)
		}
	}
}
