package main

import (
	"testing"
	"time"
)

func TestLongestOutage(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	for _, tt := range []struct {
		name    string
		answers []int // milliseconds, numbered from 1 on
		want    outage
	}{
		{"no answer at all", nil, outage{90 * time.Millisecond, 0, 0}},
		{"the last answer before begins it", []int{2, 8, 60, 70, 80, 90}, outage{52 * time.Millisecond, 2, 3}},
		{"what came before does not count", []int{0, 9, 20, 30, 40, 50, 60, 70, 80, 90}, outage{11 * time.Millisecond, 2, 3}},
		{"it does not come back", []int{9, 11, 12}, outage{88 * time.Millisecond, 3, 0}},
		{"what comes after does not count", []int{9, 50, 95, 500}, outage{45 * time.Millisecond, 2, 3}},
	} {
		var answers []answer
		for i, ms := range tt.answers {
			answers = append(answers, answer{uint64(i) + 1, at(ms)})
		}
		if got := longestOutage(answers, at(10), at(100)); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestLateClient(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, tt := range []struct {
		name   string
		late   uint64
		misled bool
	}{
		{"at the beginning", 2, true},
		{"while nobody answers", 5, false},
		{"at the end", 9, true},
		{"at another time", 10, false},
	} {
		p := &pulse{late: map[uint64]time.Duration{tt.late: time.Second}}
		for _, number := range []uint64{1, 9, 10} {
			p.answers = append(p.answers, answer{number, start.Add(time.Duration(number) * time.Millisecond)})
		}
		lasted, err := p.outage(start, start.Add(11*time.Millisecond))
		if (err != nil) != tt.misled || err == nil && lasted != 7*time.Millisecond {
			t.Errorf("%s: got %s and %v, want 7ms, or an error: %t", tt.name, lasted, err, tt.misled)
		}
	}
}
