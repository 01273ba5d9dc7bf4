package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/peer"
)

func TestPagesTakeTurns(t *testing.T) {
	took := map[string]float64{"a": 1, "b": 2, "c": 30, "page": 7}
	for round, want := range []string{"a page b page c page", "page a page b page c", "a page b page c page"} {
		order := inTurn(round, []string{"a", "b", "c"}, "page")
		if got := strings.Join(order, " "); got != want {
			t.Errorf("round %d: got %s, want %s", round, got, want)
		}
		var times []float64
		for _, link := range order {
			times = append(times, took[link])
		}
		if ours, theirs := apart(round, times); ours != 2 || theirs != 7 {
			t.Errorf("round %d: got medians %v and %v, want 2 and 7", round, ours, theirs)
		}
	}
}

// onSheet is a contest on a sheet, without networks.
func onSheet(out *bytes.Buffer) (*consoles, *contest) {
	c := &consoles{sheet: figure.NewSheet(out, consoleFigures()...)}
	return c, &contest{
		ours: &gate{name: "ours"}, theirs: &gate{name: "nginx", kind: peer.NginxTLS()},
		figures: []figure.Figure{consoleTLS},
	}
}

func TestPeerThatFailsHasNoFigures(t *testing.T) {
	var out bytes.Buffer
	c, at := onSheet(&out)
	broken := errors.New("bytes were lost")
	for round, fails := range []error{nil, broken, nil} {
		err := c.turns(t.Context(), round, at, func(_ context.Context, g *gate) (map[figure.Figure]float64, error) {
			if g == at.theirs && fails != nil {
				return nil, fails
			}
			return map[figure.Figure]float64{consoleTLS: 4}, nil
		})
		if err != nil {
			t.Errorf("round %d: got %v, want the benchmark to go on", round, err)
		}
	}
	c.sheet.Print("")
	if want := "RESULT console.tls_bulk1 nginx - - - -\n"; !strings.Contains(out.String(), want) || len(c.missing) != 1 {
		t.Errorf("got %q and %q, want %q and one reason", out.String(), c.missing, want)
	}
}

func TestProductMustNotFail(t *testing.T) {
	var out bytes.Buffer
	c, at := onSheet(&out)
	err := c.turns(t.Context(), 0, at, func(_ context.Context, g *gate) (map[figure.Figure]float64, error) {
		if g == at.ours {
			return nil, errWrong
		}
		return map[figure.Figure]float64{consoleTLS: 4}, nil
	})
	if !errors.Is(err, errWrong) {
		t.Errorf("got %v, want the failed check", err)
	}
}

func TestLastOneWaitsForTheOthers(t *testing.T) {
	left := 3
	if err := lastOne(t.Context(), func() (int, error) { left--; return left, nil }); err != nil || left != 1 {
		t.Errorf("got %v with %d left, want to wait for the last one", err, left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := lastOne(ctx, func() (int, error) { return 3, nil })
	if err == nil || !strings.Contains(err.Error(), "2 processes are left") {
		t.Errorf("got %v, want that two are left", err)
	}
}
