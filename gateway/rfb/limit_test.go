package rfb

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"vdi-gateway/tests/xvnc"
)

// silences are where the other side may stop talking.
var vmSilences = map[string]script{
	"from the start":              {},
	"in the version":              {">RFB 0"},
	"before the list":             {">" + v38, "<" + v38},
	"in the list":                 {">" + v38, "<" + v38, ">\x05\x01"},
	"before the type":             {">" + v33, "<" + v33, ">\x00\x00"},
	"in a reason":                 {">" + v38, "<" + v38, ">\x00\x00\x00\x00\x05n"},
	"before the challenge":        {">" + v38, "<" + v38, ">\x01\x02", "<\x02"},
	"before the result":           {">" + v38, "<" + v38, ">\x01\x02", "<\x02", ">" + challengeText, "<" + responseOfSecret12},
	"in VeNCrypt":                 {">" + v38, "<" + v38, ">\x01\x13", "<\x13"},
	"in the list of VeNCrypt":     {">" + v38, "<" + v38, ">\x01\x13", "<\x13", ">\x00\x02", "<\x00\x02", ">\x00\x05"},
	"where TLS begins":            {">" + v38, "<" + v38, ">\x01\x13", "<\x13", ">\x00\x02", "<\x00\x02", ">\x00\x01\x00\x00\x01\x04", "<\x00\x00\x01\x04", ">\x01"},
	"where TLS begins, listening": {">" + v38, "<" + v38, ">\x01\x13", "<\x13", ">\x00\x02", "<\x00\x02", ">\x00\x01\x00\x00\x01\x04", "<\x00\x00\x01\x04", ">\x01", "*"},
}

var viewerSilences = map[string]script{
	"from the start":        {},
	"after the greeting":    {"<" + v38},
	"in the version":        {"<" + v38, ">RFB 0"},
	"before the choice":     {"<" + v38, ">" + v38, "<\x01\x13"},
	"in VeNCrypt":           {"<" + v38, ">" + v38, "<\x01\x13", ">\x13", "<\x00\x02"},
	"before the sub-choice": {"<" + v38, ">" + v38, "<\x01\x13", ">\x13", "<\x00\x02", ">\x00\x02", "<\x00", "<\x01\x00\x00\x01\x06", ">\x00"},
	"where TLS begins":      {"<" + v38, ">" + v38, "<\x01\x13", ">\x13", "<\x00\x02", ">\x00\x02", "<\x00", "<\x01\x00\x00\x01\x06", ">\x00\x00\x01\x06", "<\x01"},
}

// hold plays the script and then says nothing more, but keeps the connection.
func hold(t *testing.T, lines script) net.Conn {
	near, far := net.Pipe()
	go func() {
		if _, err := (stage{step: 1000}).perform(far, lines); err != nil {
			t.Errorf("the other side: %v", err)
		}
	}()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near
}

func TestSilenceEnds(t *testing.T) {
	ca := xvnc.NewAuthority(t, "ours")
	cert := serverOf(ca.Valid(t, "gateway.example"))
	connect := func(ctx context.Context, conn net.Conn, limit time.Duration) error {
		_, _, err := Connect(ctx, conn, Config{Password: "secret12", Limit: limit})
		return err
	}
	accept := func(ctx context.Context, conn net.Conn, limit time.Duration) error {
		_, _, err := Accept(ctx, conn, Terms{Type: X509Plain, Check: checkLogin, Certificate: cert, Limit: limit})
		return err
	}
	for _, role := range []struct {
		name     string
		side     Side
		run      func(context.Context, net.Conn, time.Duration) error
		silences map[string]script
	}{{"VM", VM, connect, vmSilences}, {"client", Client, accept, viewerSilences}} {
		for name, lines := range role.silences {
			for _, limit := range []time.Duration{0, time.Second} {
				t.Run(role.name+" is silent "+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						conn, start := hold(t, lines), time.Now()
						err := role.run(t.Context(), conn, limit)
						want := limit
						if limit == 0 {
							want = DefaultLimit
						}
						if took := time.Since(start); took != want {
							t.Errorf("took %v, want %v", took, want)
						}
						kind := Timeout
						if name == "in a reason" {
							kind = Refused // that much has been said
						}
						wantError(t, err, role.side, kind, "")
						if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
							t.Errorf("reading afterwards: %v, want the connection closed", err)
						}
					})
				})
			}
		}
	}
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		start := time.Now()
		_, _, err := Connect(ctx, hold(t, script{">" + v38, "<" + v38}), Config{})
		wantError(t, err, VM, Canceled, "given up: context canceled")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want it to be context.Canceled", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, _, err := Accept(ctx, hold(t, script{"<" + v38}), Terms{Type: None})
		wantError(t, err, Client, Timeout, "the time was up during the version")
	})
}

// TestASlowCheckEnds: whoever is asked for user and password is given the handshake's time.
func TestASlowCheckEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(hold(t, script{">\x00\x00\x00\x01\x00\x00\x00\x01ab", "*"}), Terms{
			Check: func(ctx context.Context, _ string, _ Secret) error { <-ctx.Done(); return ctx.Err() },
		})
		err := within(t.Context(), c.conn, 0, Client, func(ctx context.Context) error { return c.judge(ctx, X509Plain) })
		wantError(t, err, Client, Timeout, "")
	})
}

func TestNoDeadlineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := act(t, stage{step: 1000}, script{">" + v33, "<" + v33, ">" + told1, "<later"})
		stream, _, err := Connect(t.Context(), conn, Config{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultLimit + time.Second)
		if _, err := io.WriteString(stream, "later"); err != nil {
			t.Errorf("after the limit: %v", err)
		}
	})
}
