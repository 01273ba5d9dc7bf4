package rfb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestRefuse(t *testing.T) {
	const unreachable = "\x00\x00\x00\x1dThe desktop cannot be reached"
	for _, tc := range []struct {
		name    string
		version Version // 0: not greeted
		reason  string
		say     script
	}{
		{"3.3", 0, "", script{"<" + v38, ">" + v33, "<" + ok + unreachable, "."}},
		{"3.7", 0, "", script{"<" + v38, ">" + v37, "<\x00" + unreachable, "."}},
		{"3.8", 0, "", script{"<" + v38, ">" + v38, "<\x00" + unreachable, "."}},
		{"3.3, greeted", V33, "", script{"<" + ok + unreachable, "."}},
		{"3.8, greeted", V38, "", script{"<\x00" + unreachable, "."}},
		{"a reason", V38, "no", script{"<\x00" + no, "."}},
		{"a long reason", V38, strings.Repeat("x", 300), script{"<\x00\x00\x00\x01\x00" + strings.Repeat("x", 256), "."}},
	} {
		for _, step := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s, by %d", tc.name, step), func(t *testing.T) {
				conn := act(t, stage{step: step}, tc.say)
				if err := Refuse(context.Background(), conn, tc.version, tc.reason); err != nil {
					t.Error(err)
				}
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("reading afterwards: %v, want the connection closed", err)
				}
			})
		}
	}
	err := Refuse(context.Background(), briefly(t, 1000, script{"<" + v38, ">GET ", "."}), 0, "")
	wantError(t, err, Client, NotRFB, "HTTP")
}

func TestGreetThenAdmit(t *testing.T) {
	for _, tc := range viewerScripts {
		conn := act(t, stage{step: 1000}, slices.Concat(tc.say, script{">" + initFlag}))
		version, err := Greet(context.Background(), conn, 0)
		if err != nil || version != tc.version {
			t.Fatalf("%s: greeted: %s, %v, want %s", tc.name, version, err, tc.version)
		}
		stream, report, err := Admit(context.Background(), conn, version, Terms{Type: tc.typ, Password: "secret12"})
		if err != nil || stream != conn || report != (Report{Version: tc.version, Type: tc.typ}) {
			t.Fatalf("%s: admitted: %+v, %v", tc.name, report, err)
		}
		if err := expect(stream, initFlag); err != nil {
			t.Errorf("%s: after the handshake: %v", tc.name, err)
		}
	}
	_, err := Greet(context.Background(), briefly(t, 1000, script{"<" + v38, ">RFB 002.000\n", "."}), 0)
	wantError(t, err, Client, Protocol, "RFB 2.0")
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	_, _, err = Admit(context.Background(), near, 0, Terms{Type: None})
	wantError(t, err, Gateway, Misconfigured, "not been greeted")
}
