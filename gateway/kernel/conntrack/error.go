package conntrack

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalid is a flow that cannot be: addresses or ports are missing or do not fit.
	ErrInvalid = errors.New("not a TCP flow")
	// ErrNotFound is that there is no such entry.
	ErrNotFound = errors.New("no such entry")
	// ErrClash is that another entry has the client's or the VM's end of a flow.
	ErrClash = errors.New("another entry has taken its place")
	// ErrUnanswered is that an end of a flow gave no sign that it was reset.
	ErrUnanswered = errors.New("no sign of a reset")
	// ErrMalformed is a message that is not built as the kernel builds them.
	ErrMalformed = errors.New("malformed message of conntrack")

	// ErrNoConntrack is that this kernel has no connection tracking, or does not tell of it.
	ErrNoConntrack = errors.New("no connection tracking")
	// ErrNoNAT is that this kernel cannot translate addresses.
	ErrNoNAT = errors.New("no NAT")
	// ErrNotPermitted is that this process may not do it.
	ErrNotPermitted = errors.New("not permitted")
)

// Failure is what became of one flow of many.
type Failure struct {
	Flow Flow
	Err  error
}

func (f Failure) Error() string { return fmt.Sprintf("flow %s: %v", f.Flow.Orig, f.Err) }

func (f Failure) Unwrap() error { return f.Err }
