package gateway

import (
	"errors"
	"time"
)

// What a request can be refused for. api/errors.go maps each to its code.
var (
	ErrInvalid        = errors.New("invalid request")
	ErrDisabled       = errors.New("the gateway is disabled")
	ErrDraining       = errors.New("this node is draining")
	ErrRateLimited    = errors.New("too many requests")
	ErrOverloaded     = errors.New("the node holds as many connections as it may")
	ErrNoFreePort     = errors.New("no free port in the range")
	ErrTargetDenied   = errors.New("the target is not allowed")
	ErrTicketRequired = errors.New("a ticket is required")
	ErrTicketUnknown  = errors.New("unknown ticket")
	ErrTokenUnknown   = errors.New("unknown token")
	ErrForbidden      = errors.New("not permitted")
	ErrUsed           = errors.New("already used")
	ErrInUse          = errors.New("somebody else is at the desktop")
	ErrExpired        = errors.New("expired")
	ErrNotFound       = errors.New("no such connection")
	ErrVMUnreachable  = errors.New("the VM does not answer")
	ErrVMTimeout      = errors.New("the VM did not answer in time")
)

// Refusal says why a request was not granted, in words for its sender.
type Refusal struct {
	Err        error         // one of the sentinels above
	Field      string        // of the request, if one is to blame
	Detail     string        // what is wrong and what would be right
	RetryAfter time.Duration // 0: trying again is no cure
}

// Error gives the detail, or the sentinel's words when there is none.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return r.Err.Error()
	}
	return r.Detail
}

// Unwrap lets callers branch on the sentinel.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(err error, detail string) *Refusal {
	return &Refusal{Err: err, Detail: detail}
}

func refuseField(err error, field, detail string) *Refusal {
	return &Refusal{Err: err, Field: field, Detail: detail}
}

func refuseFor(after time.Duration, err error, detail string) *Refusal {
	return &Refusal{Err: err, Detail: detail, RetryAfter: after}
}
