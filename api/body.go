package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"vdi-gateway/settingsdb"
)

// maxBody bounds request bodies, in bytes.
const maxBody = 64 << 10

// readBody reads a JSON body. A missing Content-Type is accepted.
func readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, maxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge()
	case err != nil:
		return nil, failWith(http.StatusBadRequest, codeBadJSON, "the body did not arrive completely")
	case len(data) > 0 && !isJSON(r.Header.Get(echo.HeaderContentType)):
		return nil, failWith(http.StatusUnsupportedMediaType, codeUnsupportedMedia, "the body must be application/json")
	}
	return data, nil
}

func tooLarge() *failure {
	return failWith(http.StatusRequestEntityTooLarge, codeTooLarge, "a body has 64 KiB at most")
}

func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != echo.MIMEApplicationJSON {
		return false
	}
	charset := params["charset"]
	return charset == "" || strings.EqualFold(charset, "utf-8")
}

// decode reads the body into dst, a pointer to a struct of optional fields. It
// returns the fields, which already hold what is wrong with the fields; the error
// is for a body that cannot be looked into at all.
func decode(c echo.Context, dst any) (*fields, error) {
	data, err := readBody(c)
	if err != nil {
		return nil, err
	}
	return decodeBytes(data, dst)
}

// decodeBytes is decode of a body that was read before.
func decodeBytes(data []byte, dst any) (*fields, error) {
	problems := settingsdb.Strict(data, dst)
	if problems.Syntax() {
		return nil, problems
	}
	return &fields{problems}, nil
}

// noFields reads a body that is not needed: none, or an empty object.
func noFields(c echo.Context) error {
	data, err := readBody(c)
	if err != nil || len(data) == 0 {
		return err
	}
	return settingsdb.Strict(data, &struct{}{}).Err()
}
