package gateway

import (
	"errors"
	"testing"
	"time"
)

// refusedWith checks that err is a refusal of that kind, in words.
func refusedWith(t testing.TB, err, want error) *Refusal {
	t.Helper()
	var refusal *Refusal
	if !errors.Is(err, want) || !errors.As(err, &refusal) {
		t.Fatalf("got %v (%T), want a refusal of %q", err, err, want)
	}
	if refusal.Detail == "" {
		t.Errorf("got no detail for %q, want words that help", want)
	}
	return refusal
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   error
		other  error // for another client
	}{
		{"per client", func(c *Config) { c.Limits.PerClient = 3 }, ErrRateLimited, nil},
		{"of the node", func(c *Config) { c.Limits.Connections = 3 }, ErrOverloaded, ErrOverloaded},
		{"of the range", func(c *Config) { c.PortStop = c.PortStart + 2 }, ErrNoFreePort, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, vm := newRig(t, tt.change), newEcho(t)
			var last Grant
			for range 3 {
				last = r.granted("127.0.0.5", vm.addr)
			}
			for range 4 { // a refusal must not make room
				_, err := r.ask("127.0.0.5", vm.addr)
				if got := refusedWith(t, err, tt.want).RetryAfter; got <= 0 {
					t.Errorf("got no time to try again")
				}
			}
			if _, err := r.ask("127.0.0.6", vm.addr); !errors.Is(err, tt.other) {
				t.Errorf("got %v for another client, want %v", err, tt.other)
			}
			if err := r.GiveBack(t.Context(), last.ID, last.Token, last.Client); err != nil {
				t.Fatal(err)
			}
			if _, err := r.ask("127.0.0.5", vm.addr); err != nil {
				t.Errorf("got %v after one was given back, want a grant", err)
			}
		})
	}
}

func TestOpenCallsPerSecond(t *testing.T) {
	r, vm := newRig(t, func(c *Config) { c.Limits.OpenPerSecond = 1 }), newEcho(t)
	r.granted("127.0.0.5", vm.addr)
	r.granted("127.0.0.5", vm.addr) // the burst is twice the rate
	_, err := r.ask("127.0.0.5", vm.addr)
	if got := refusedWith(t, err, ErrRateLimited).RetryAfter; got < time.Second {
		t.Errorf("got %s to try again, want at least a second", got)
	}
	r.granted("127.0.0.6", vm.addr)
}
