package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// Codes of errors.
const (
	codeBadJSON          = "BAD_JSON"
	codeBadRequest       = "BAD_REQUEST"
	codeUnauthorized     = "UNAUTHORIZED"
	codeForbidden        = "FORBIDDEN"
	codeNotFound         = "NOT_FOUND"
	codeMethodNotAllowed = "METHOD_NOT_ALLOWED"
	codeTooLarge         = "TOO_LARGE"
	codeUnsupportedMedia = "UNSUPPORTED_MEDIA_TYPE"
	codeValidation       = "VALIDATION"
	codeNodeRejected     = "NODE_REJECTED"
	codeUpgradeRequired  = "UPGRADE_REQUIRED"
	codeRateLimited      = "RATE_LIMITED"
	codeOverloaded       = "OVERLOADED"
	codeDraining         = "DRAINING"
	codeInternal         = "INTERNAL"
)

// What Settings, Drain and Failover can refuse a request with.
var (
	ErrRevisionMismatch = errors.New("the settings have another revision than If-Match names; read them again")
	ErrChangeInProgress = errors.New("another change is under way, or waits to be confirmed")
	ErrNothingToConfirm = errors.New("no change waits to be confirmed")
	ErrNoSuchNode       = errors.New("there is no such node")
	ErrNobodyActive     = errors.New("no node that this one hears of has the virtual address")
	ErrNoSuccessor      = errors.New("no other node took over, so the virtual address stays where it is")
)

// NodeRejected says which node could not apply a change, and why.
type NodeRejected struct{ Node, Reason string }

// Error names node and reason.
func (e *NodeRejected) Error() string { return fmt.Sprintf("node %s: %s", e.Node, e.Reason) }

// failure is an answer that is not a success.
type failure struct {
	status int
	errors []errorEntry
	retry  time.Duration // of 429 and 503; 0 counts as a second
}

// Error lists the messages.
func (f *failure) Error() string {
	text := http.StatusText(f.status)
	for _, e := range f.errors {
		text += "; " + e.Code + " " + e.Message
	}
	return text
}

// errorBody is the answer of every request that fails.
type errorBody struct {
	Errors    []errorEntry `json:"errors"`
	RequestID string       `json:"request_id" example:"6f1c0a4e8b2d4c5f9a7e3b1d0c2f4a68"`
} // @name Errors

type errorEntry struct {
	Code    string `json:"code" example:"VALIDATION"`
	Message string `json:"message" example:"must be 1..65535, got 70000"`
	Field   string `json:"field" example:"vm_port"`
} // @name Error

func failWith(status int, code, message string) *failure {
	return &failure{status: status, errors: []errorEntry{{Code: code, Message: message}}}
}

// sentinels maps what parts refuse requests with to what is answered.
var sentinels = []struct {
	err    error
	status int
	code   string
}{
	{gateway.ErrInvalid, http.StatusUnprocessableEntity, codeValidation},
	{gateway.ErrDisabled, http.StatusLocked, "DISABLED"},
	{gateway.ErrDraining, http.StatusServiceUnavailable, codeDraining},
	{gateway.ErrRateLimited, http.StatusTooManyRequests, codeRateLimited},
	{gateway.ErrOverloaded, http.StatusServiceUnavailable, codeOverloaded},
	{gateway.ErrNoFreePort, http.StatusServiceUnavailable, "NO_FREE_PORT"},
	{gateway.ErrTargetDenied, http.StatusForbidden, "TARGET_DENIED"},
	{gateway.ErrTicketRequired, http.StatusForbidden, "TICKET_REQUIRED"},
	{gateway.ErrTicketUnknown, http.StatusForbidden, codeForbidden},
	{gateway.ErrTokenUnknown, http.StatusUnauthorized, codeUnauthorized},
	{gateway.ErrForbidden, http.StatusForbidden, codeForbidden},
	{gateway.ErrUsed, http.StatusConflict, "GRANT_USED"},
	{gateway.ErrInUse, http.StatusConflict, "DESKTOP_IN_USE"},
	{gateway.ErrExpired, http.StatusGone, "GRANT_EXPIRED"},
	{gateway.ErrNotFound, http.StatusNotFound, codeNotFound},
	{gateway.ErrVMUnreachable, http.StatusBadGateway, "VM_UNREACHABLE"},
	{gateway.ErrVMTimeout, http.StatusGatewayTimeout, "VM_TIMEOUT"},
	{ErrRevisionMismatch, http.StatusConflict, "REVISION_MISMATCH"},
	{ErrChangeInProgress, http.StatusConflict, "CHANGE_IN_PROGRESS"},
	{ErrNothingToConfirm, http.StatusNotFound, codeNotFound},
	{ErrNoSuchNode, http.StatusNotFound, codeNotFound},
	{ErrNobodyActive, http.StatusConflict, "NOT_ACTIVE"},
	{ErrNoSuccessor, http.StatusConflict, "NO_SUCCESSOR"},
	{settingsdb.ErrDiskFull, http.StatusInternalServerError, codeInternal},
	{settingsdb.ErrReadOnly, http.StatusInternalServerError, codeInternal},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, codeOverloaded},
	// Who hangs up reads no answer; this is for requests cut off by a stop.
	{context.Canceled, http.StatusServiceUnavailable, codeDraining},
}

// describe turns any error into an answer. What is not foreseen says nothing of
// itself: the log does.
func describe(err error) *failure {
	var (
		known    *failure
		problems settingsdb.Problems
		rejected *NodeRejected
		routing  *echo.HTTPError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &problems):
		return describeProblems(problems)
	case errors.As(err, &rejected):
		return failWith(http.StatusFailedDependency, codeNodeRejected, rejected.Error())
	case errors.As(err, &routing):
		return describeRouting(routing.Code)
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return describeRefusal(err, s.status, s.code)
		}
	}
	return failWith(http.StatusInternalServerError, codeInternal, "the node failed; its log tells why under this request_id")
}

func describeProblems(problems settingsdb.Problems) *failure {
	f := &failure{status: http.StatusUnprocessableEntity}
	code := codeValidation
	if problems.Syntax() {
		f.status, code = http.StatusBadRequest, codeBadJSON
	}
	for _, p := range problems {
		f.errors = append(f.errors, errorEntry{Code: code, Message: p.Message, Field: p.Field})
	}
	return f
}

func describeRefusal(err error, status int, code string) *failure {
	f := failWith(status, code, err.Error())
	var refusal *gateway.Refusal
	if errors.As(err, &refusal) {
		f.errors[0].Message, f.errors[0].Field, f.retry = refusal.Error(), refusal.Field, refusal.RetryAfter
	}
	return f
}

// describeRouting is for what the router refuses itself.
func describeRouting(status int) *failure {
	switch status {
	case http.StatusNotFound:
		return failWith(status, codeNotFound, "there is nothing at this path; see /swagger/index.html")
	case http.StatusMethodNotAllowed:
		return failWith(status, codeMethodNotAllowed, "this path has other methods, see the header Allow")
	case http.StatusInternalServerError:
		return failWith(status, codeInternal, http.StatusText(status))
	default:
		return failWith(status, codeBadRequest, http.StatusText(status))
	}
}

// fail answers a request with an error. It is echo's error handler.
func (s *Server) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	f := describe(err)
	h := c.Response().Header()
	switch f.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="vdi-gateway"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(f.retry.Seconds())))))
	}
	// A failed write is a client that left.
	_ = c.JSON(f.status, errorBody{Errors: f.errors, RequestID: requestID(c)})
}
