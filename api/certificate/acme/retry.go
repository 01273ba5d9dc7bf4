package acme

import (
	"crypto/x509"
	"errors"
	"time"
)

const (
	// firstPause and lastPause are between attempts that the authority refuses: it
	// counts them, and what it issued and nobody kept, too. Five refusals in an hour are
	// what the best known one allows.
	firstPause = time.Minute
	lastPause  = time.Hour
	// firstReach and lastReach are between attempts to reach it at all.
	firstReach = 5 * time.Second
	lastReach  = 10 * time.Minute
	// soonest and latest are between looks at a certificate that is fine.
	soonest = 5 * time.Second
	latest  = 10 * time.Minute
)

// pause is how long to wait after the nth attempt that failed in a row.
func pause(n int, err error) time.Duration {
	wait, growth, most := firstPause, 4, lastPause
	var unasked notAsked
	if errors.As(err, &unasked) {
		wait, growth, most = firstReach, 2, lastReach
	}
	for i := 1; i < n && wait < most; i++ {
		wait *= time.Duration(growth)
	}
	return min(wait, most)
}

// notAsked is why the authority was not even asked for something: it is not reached, or
// the reason lies on this host.
type notAsked struct{ error }

// Unwrap is the reason.
func (n notAsked) Unwrap() error { return n.error }

// every is how often a certificate is looked at: often enough in the third of its life
// that is left for renewing it.
func every(leaf *x509.Certificate) time.Duration {
	if leaf == nil {
		return latest
	}
	return min(max(leaf.NotAfter.Sub(leaf.NotBefore)/30, soonest), latest)
}
