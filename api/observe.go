package api

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/sirupsen/logrus"
)

const (
	maxRequestID = 128
	// minZip is the size below which compressing costs more than it saves.
	minZip = 1024
)

// observe gives the request an id, answers its error and logs it: one line at
// debug level, at error level when the node failed, and at warning level when it
// or the VM could not serve.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		c.Response().Header().Set(echo.HeaderXRequestID, requestIDFor(c.Request()))
		err := next(c)
		if err != nil {
			s.fail(err, c)
		}
		s.logRequest(c, err, time.Since(began))
		return nil
	}
}

func (s *Server) logRequest(c echo.Context, err error, took time.Duration) {
	r, status := c.Request(), c.Response().Status
	entry := s.deps.Log.WithFields(logrus.Fields{
		"request_id": requestID(c), "client": addrText(clientOf(c)), "method": r.Method,
		"path": r.URL.Path, "status": status, "bytes": c.Response().Size, "took_ms": took.Milliseconds(),
	})
	if r.URL.RawQuery != "" {
		entry = entry.WithField("query", maskedQuery(r.URL.RawQuery))
	}
	if err != nil {
		entry = entry.WithError(err)
	}
	switch {
	case status == http.StatusInternalServerError:
		entry.Error("request failed")
	case status > http.StatusInternalServerError && err != nil: // a probe answers 503 without one
		entry.Warn("request not served")
	default:
		entry.Debug("request")
	}
}

// maskedQuery is a query string without the token.
func maskedQuery(raw string) string {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "unreadable"
	}
	for name := range values {
		if strings.EqualFold(name, "token") {
			values.Set(name, "redacted")
		}
	}
	return values.Encode()
}

// requestIDFor echoes a sane id of the client's, or makes one.
func requestIDFor(r *http.Request) string {
	id := r.Header.Get(echo.HeaderXRequestID)
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if id != "" && len(id) <= maxRequestID && !strings.ContainsFunc(id, odd) {
		return id
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	return hex.EncodeToString(b[:])
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// recovered turns a panic into an error with its stack, for the log.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler: // not a fault: ends the connection
				panic(p)
			default:
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}

// prepare sets what all answers have and refuses odd paths: two slashes in a
// row are another host to some clients.
func (s *Server) prepare(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, h := c.Request(), c.Response().Header()
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderReferrerPolicy, "no-referrer")
		h.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")  // pages have their own
		if strings.HasPrefix(r.URL.Path, "/v3") || strings.HasPrefix(r.URL.Path, "/console") { // the page's files say otherwise
			h.Set(echo.HeaderCacheControl, "no-store")
		}
		if conn := connOf(r); conn != nil && conn.of.retired.Load() {
			h.Set(echo.HeaderConnection, "close")
		}
		if odd(r) {
			return failWith(http.StatusBadRequest, codeBadRequest, "a path has no empty part")
		}
		return next(c)
	}
}

// odd tells whether a path has an empty part.
func odd(r *http.Request) bool {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return strings.HasPrefix(path, "//") || strings.Contains(r.URL.Path, "//")
}

// oddFirst has refuse answer odd paths, before next could send them elsewhere.
func oddFirst(refuse, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if odd(r) {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// zipped compresses answers as Config.Compression says.
func (s *Server) zipped() echo.MiddlewareFunc {
	return middleware.GzipWithConfig(middleware.GzipConfig{
		MinLength: minZip,
		Skipper: func(c echo.Context) bool {
			// Part of a compressed file is not part of the file.
			return !s.state.Load().Compression || c.Request().Header.Get("Range") != ""
		},
	})
}

// httpLog takes what net/http has to say. Most of it is about odd clients.
type httpLog struct{ log logrus.FieldLogger }

// Write logs one line.
func (l httpLog) Write(p []byte) (int, error) {
	line := string(bytes.TrimSpace(p))
	if strings.Contains(line, "Accept error") {
		l.log.Error("cannot accept connections of the API: " + line)
	} else {
		l.log.Debug(line)
	}
	return len(p), nil
}
