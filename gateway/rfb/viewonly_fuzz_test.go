package rfb

import (
	"bytes"
	"testing"
)

// FuzzViewOnly: what passes does not depend on how the stream is cut, is whole messages of
// those that may pass, and an unfinished one at the end.
func FuzzViewOnly(f *testing.F) {
	for _, messages := range []map[string]string{passing, dropped, ending} {
		for _, m := range messages {
			f.Add([]byte("\x01"+m+passing["FramebufferUpdateRequest"]), []byte{1, 2, 3})
		}
	}
	f.Add([]byte("\x01\x02\x00\x00\x01\xff\xff\xfe\xc4"+"\x05\x80\x00\x10\x00\x10\x04"+"\x04\x01\x00\x00\x00\x00\x00A"), []byte{5})
	f.Fuzz(func(t *testing.T, says, cuts []byte) {
		var whole, pieces ViewOnly
		want, wantErr := whole.Append(nil, says)
		got, err := []byte(nil), error(nil)
		for rest := says; len(rest) > 0 && err == nil; {
			n := len(rest)
			if len(cuts) > 0 {
				n, cuts = min(n, int(cuts[0])+1), cuts[1:]
			}
			got, err = pieces.Append(got, rest[:n])
			rest = rest[n:]
		}
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Fatalf("of %q in pieces: got %q, %v, want %q, %v", says, got, err, want, wantErr)
		}
		if len(want) > 0 && want[0] != says[0] {
			t.Errorf("the shared flag: got %d, want %d", want[0], says[0])
		}
		wantHarmless(t, want)
	})
}

// wantHarmless reads what has passed as a VM does: with lengths written down once more.
func wantHarmless(t *testing.T, b []byte) {
	t.Helper()
	for rest := b[min(1, len(b)):]; len(rest) > 0; {
		size := 0
		switch at := func(i int) int {
			if i < len(rest) {
				return int(rest[i])
			}
			return 0
		}; rest[0] {
		case 0:
			size = 20
		case 2:
			size = 4 + 4*(at(2)<<8+at(3))
		case 3, 150:
			size = 10
		case 248:
			size = 9 + at(8)
		case 255:
			if at(1) != 1 {
				t.Fatalf("a message of QEMU's has passed: %q of %q", rest, b)
			}
			size = 4
			if at(2) == 0 && at(3) == 2 {
				size = 10
			}
		default:
			t.Fatalf("a message of type %d has passed: %q of %q", rest[0], rest, b)
		}
		rest = rest[min(size, len(rest)):]
	}
}
