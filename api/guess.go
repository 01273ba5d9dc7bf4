package api

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

// wrongSecrets is how many unknown tokens and tickets a second, and at once, an
// address may try. Unlike with keys, a right one does not pass while its address is
// over the limit: guesses would not be bounded by it.
const wrongSecrets = 10

func tooManyGuesses() error {
	return failWith(http.StatusTooManyRequests, codeRateLimited, "too many unknown tokens and tickets from this address")
}

// guessing refuses clients who have guessed too often just now.
func (s *Server) guessing(c echo.Context) error {
	if s.guesses.Empty(clientOf(c)) {
		return tooManyGuesses()
	}
	return nil
}

// guessed counts a secret that nobody knows, or that is not this client's, and passes
// the error on.
func (s *Server) guessed(c echo.Context, err error) error {
	wrong := errors.Is(err, gateway.ErrTokenUnknown) || errors.Is(err, gateway.ErrTicketUnknown) || errors.Is(err, gateway.ErrForbidden)
	if wrong && !s.guesses.Allow(clientOf(c)) {
		return tooManyGuesses()
	}
	return err
}
