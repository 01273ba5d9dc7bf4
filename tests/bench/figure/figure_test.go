package figure

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	speed = Figure{"x.per_s", "peer", "1/s"}
	delay = Figure{"x.ms", "peer", "ms"}
)

func TestSheet(t *testing.T) {
	for _, tt := range []struct {
		name string
		fill func(*Sheet)
		want []string // the RESULT lines
	}{
		{"medians and ratio", func(s *Sheet) {
			for _, v := range []float64{100, 900, 300} {
				s.Add(speed, v, 600)
				s.Add(delay, 0.25, 12.5)
			}
		}, []string{"RESULT x.per_s peer 300 600 1/s 0.50", "RESULT x.ms peer 0.250 12.5 ms 0.02"}},
		{"one of them could not be measured", func(s *Sheet) {
			s.Add(speed, 1, 2)
			s.Missing(errors.New("no such thing"))
		}, []string{"RESULT x.per_s peer 1.00 2.00 1/s 0.50", "RESULT x.ms peer - - - -"}},
		{"a peer that did nothing", func(s *Sheet) {
			s.Add(speed, 1, 0)
			s.Add(delay, 1, 1)
		}, []string{"RESULT x.per_s peer 1.00 0.000 1/s -", "RESULT x.ms peer 1.00 1.00 ms 1.00"}},
		{"a peer whose check failed", func(s *Sheet) {
			s.Add(speed, 1, 2)
			s.Add(delay, 1, 1)
			s.Drop(speed)
		}, []string{"RESULT x.per_s peer - - - -", "RESULT x.ms peer 1.00 1.00 ms 1.00"}},
		{"a check that failed", func(s *Sheet) {
			s.Add(speed, 1, 2)
			s.Void(errors.New("bytes were lost"))
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			s := NewSheet(&out, speed, delay)
			tt.fill(s)
			s.Print("today, here")
			var got []string
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(line, "RESULT ") {
					got = append(got, strings.TrimSpace(line))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTableRowTellsTheSpread(t *testing.T) {
	var out bytes.Buffer
	s := NewSheet(&out, speed)
	s.Add(speed, 100, 600)
	s.Add(speed, 300, 700)
	s.Print("today, here")
	want := "| today, here | `x.per_s` | peer | 200 | 650 | 1/s | 0.31 | 100 to 300; 600 to 700 |\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("got %q, want %q in it", out.String(), want)
	}
}

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for _, tt := range []struct {
		samples []time.Duration
		p       float64
		want    time.Duration
	}{
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred, 0, 1},
		{hundred[:1], 0.99, 100},
	} {
		if got := Percentile(tt.samples, tt.p); got != tt.want {
			t.Errorf("%v of %d samples: got %d, want %d", tt.p, len(tt.samples), got, tt.want)
		}
	}
}

func TestRoundsAreAsManyAsUsual(t *testing.T) {
	for _, tt := range []struct {
		name, said string
		want       int
	}{
		{"nothing was said", "", 10},
		{"a number", "2", 2},
		{"no number", "many", 10},
	} {
		t.Setenv(roundsVariable, tt.said)
		got := 0
		if err := RoundsOr(t.Context(), 10, func(int, int) error { got++; return nil }); err != nil || got != tt.want {
			t.Errorf("%s: got %d rounds and %v, want %d", tt.name, got, err, tt.want)
		}
	}
}

func TestRoundsTakeTurns(t *testing.T) {
	t.Setenv(roundsVariable, "3")
	order := ""
	err := Rounds(t.Context(), func(round, of int) error {
		if of != 3 {
			t.Errorf("got %d rounds, want 3", of)
		}
		return Turns(round, func() error { order += "o"; return nil }, func() error { order += "t"; return nil })
	})
	if err != nil || order != "ottoot" {
		t.Errorf("got %q and %v, want ottoot", order, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Rounds(ctx, func(int, int) error { t.Error("got a round after the end"); return nil }); err == nil {
		t.Error("after its time: got nil, want the context's error")
	}
}
