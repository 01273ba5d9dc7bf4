package figure

import (
	"context"
	"os"
	"slices"
	"strconv"
	"time"
)

// roundsVariable says how many rounds there are.
const roundsVariable = "BENCH_ROUNDS"

const defaultRounds = 5

// Rounds runs round for round 0, 1, ... until one fails or ctx ends; how many,
// BENCH_ROUNDS says, or 5.
func Rounds(ctx context.Context, round func(round, of int) error) error {
	return RoundsOr(ctx, defaultRounds, round)
}

// RoundsOr is Rounds for figures that take another number than 5.
func RoundsOr(ctx context.Context, usual int, round func(round, of int) error) error {
	n, err := strconv.Atoi(os.Getenv(roundsVariable))
	if err != nil || n < 1 {
		n = usual
	}
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := round(i, n); err != nil {
			return err
		}
	}
	return nil
}

// Turns runs both, ours first in even rounds and last in odd ones, so that
// neither always meets the machine as the other left it.
func Turns(round int, ours, theirs func() error) error {
	first, second := ours, theirs
	if round%2 == 1 {
		first, second = theirs, ours
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

// Median of samples, of which there must be at least one.
func Median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile is the duration that a part p (0 to 1) of the samples does not
// exceed. There must be at least one.
func Percentile(samples []time.Duration, p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(samples))
	at := int(p*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// Milliseconds is d as a figure.
func Milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
