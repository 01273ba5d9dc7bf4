package rfb

import "fmt"

// Side says who a handshake failed with.
type Side string

// The sides.
const (
	VM      Side = "VM"
	Client  Side = "client"
	Gateway Side = "gateway" // what it was told to do makes no sense
)

// Kind says how a handshake failed. It is a word for programs; what to tell people is
// decided by who calls.
type Kind string

// The kinds.
const (
	NotRFB              Kind = "not_rfb"              // it speaks something else
	Refused             Kind = "refused"              // the VM wants no one now; its reason is in the text
	NoCommonType        Kind = "no_common_type"       // no security type that both have, or that may be used
	AuthFailed          Kind = "auth_failed"          // wrong user or password
	CertificateRejected Kind = "certificate_rejected" // by us, or ours by the client
	Timeout             Kind = "timeout"
	Protocol            Kind = "protocol" // something the RFC forbids
	Closed              Kind = "closed"   // the connection ended
	Canceled            Kind = "canceled" // by the context
	Misconfigured       Kind = "misconfigured"
)

// Error is how a handshake failed. It holds no secret. What the other side said is quoted.
type Error struct {
	Side Side
	Kind Kind
	Text string // what happened, for the journal
	Err  error  // the cause; may be nil
	// Unencrypted: VeNCrypt led nowhere, but the VM offered a type without it as well that
	// can be satisfied. A new connection with Config.Unencrypted may succeed; Dial tries.
	Unencrypted bool
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("VNC handshake, %s: %s", e.Side, e.Text)
	}
	return fmt.Sprintf("VNC handshake, %s: %s: %v", e.Side, e.Text, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func failure(side Side, kind Kind, format string, args ...any) *Error {
	return &Error{Side: side, Kind: kind, Text: fmt.Sprintf(format, args...)}
}

func misconfigured(format string, args ...any) *Error {
	return failure(Gateway, Misconfigured, format, args...)
}
