package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// ChangeResult is the answer to a change.
type ChangeResult struct {
	Applied    bool              `json:"applied" example:"true"` // false: dry run
	Revision   int64             `json:"revision" example:"18"`
	Changed    []string          `json:"changed" example:"port_range_stop"`
	Nodes      map[string]string `json:"nodes" example:"10.0.0.1:ok"`
	RollbackAt *time.Time        `json:"rollback_at" example:"2026-11-22T10:05:00Z"` // null: stays
	WouldEnd   []string          `json:"would_end,omitzero" example:""`              // dry run: connections
	Warnings   []string          `json:"warnings" example:""`                        // legal, but worth knowing
} // @name ChangeResult

// confirmAnswer says which revision stays.
type confirmAnswer struct {
	Confirmed bool  `json:"confirmed" example:"true"`
	Revision  int64 `json:"revision" example:"18"`
} // @name Confirmed

// getSettings answers the document.
//
//	@Summary		Read the settings
//	@Description	The complete document, keys included. `ETag` is the revision. With `effective=1` instead: what the keys come to that this TLS cannot all honour, by their paths, such as `{"tls.dhparams":{"value":"/etc/dh.pem","status":"not_honoured","note":"..."}}`.
//	@Tags			dispatcher
//	@Security		api_key
//	@Param			effective	query		boolean	false	"what ssl, tls and compression come to: value, honoured, partial or not_honoured, note"	example(true)
//	@Success		200	{object}	settingsdb.Settings
//	@Header			200	{string}	ETag		"the revision, quoted"
//	@Failure		401	{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403	{object}	errorBody	"FORBIDDEN"
//	@Failure		422	{object}	errorBody	"VALIDATION: a query that is not understood"
//	@Failure		429	{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500	{object}	errorBody	"INTERNAL"
//	@Router			/v3/get_settings/ [get]
func (s *Server) getSettings(c echo.Context) error {
	q := newQuery(c, "effective")
	effective := q.flag("effective")
	if err := q.err(); err != nil {
		return err
	}
	document, revision := s.deps.Settings.Current()
	c.Response().Header().Set("ETag", etag(revision))
	if effective {
		return c.JSON(http.StatusOK, document.Effective())
	}
	return c.JSONBlob(http.StatusOK, document.JSON())
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// changeSettings changes the document.
//
//	@Summary		Change the settings
//	@Description	A whole or partial document. A posted key replaces its whole value; missing members of a posted object take their defaults. For example `{"port_range_stop":5949}`. Applied on all nodes or on none. `confirm_s` rolls the change back by itself unless confirm_settings comes in time.
//	@Tags			dispatcher
//	@Security		api_key
//	@Param			body		body		settingsdb.Settings	true	"whole or partial document"
//	@Param			If-Match	header		string				false	"the revision it was made for, as ETag gave it; `*` is any"	example("17")
//	@Param			dry_run		query		boolean				false	"check only, and tell which connections would end"			example(true)
//	@Param			confirm_s	query		integer				false	"roll back unless confirmed within so many seconds"			minimum(1)	maximum(3600)	example(60)
//	@Success		200			{object}	ChangeResult
//	@Header			200			{string}	ETag		"the revision, quoted"
//	@Failure		400			{object}	errorBody	"BAD_JSON"
//	@Failure		401			{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403			{object}	errorBody	"FORBIDDEN"
//	@Failure		409			{object}	errorBody	"REVISION_MISMATCH, CHANGE_IN_PROGRESS"
//	@Failure		413			{object}	errorBody	"TOO_LARGE"
//	@Failure		415			{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422			{object}	errorBody	"VALIDATION"
//	@Failure		424			{object}	errorBody	"NODE_REJECTED: nothing changed"
//	@Failure		429			{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500			{object}	errorBody	"INTERNAL"
//	@Router			/v3/change_settings/ [post]
func (s *Server) changeSettings(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	q := newQuery(c, "dry_run", "confirm_s")
	request := ChangeRequest{
		Body: body, DryRun: q.flag("dry_run"),
		Confirm: time.Duration(q.number("confirm_s", 0, 1, 3600)) * time.Second,
		IfMatch: ifMatch(&q.fields, c.Request().Header.Get("If-Match")),
		Author:  "api " + addrText(clientOf(c)), Caller: clientOf(c),
	}
	if err := q.err(); err != nil {
		return err
	}
	result, err := s.deps.Settings.Change(c.Request().Context(), request)
	if err != nil {
		return err
	}
	c.Response().Header().Set("ETag", etag(result.Revision))
	return c.JSON(http.StatusOK, result.filled(request.DryRun))
}

// filled has empty lists instead of none; would_end is for dry runs only.
func (r ChangeResult) filled(dry bool) ChangeResult {
	r.Changed, r.Warnings = list(r.Changed), list(r.Warnings)
	if r.Nodes == nil {
		r.Nodes = map[string]string{}
	}
	if r.RollbackAt != nil {
		r.RollbackAt = moment(*r.RollbackAt)
	}
	if dry {
		r.WouldEnd = list(r.WouldEnd)
	} else {
		r.WouldEnd = nil
	}
	return r
}

// ifMatch reads the revision of an If-Match header: quoted, weak or bare; nil
// when there is none or any will do.
func ifMatch(f *fields, header string) *int64 {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return nil
	}
	text := strings.TrimPrefix(header, "W/")
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision < 0 {
		f.add("If-Match", `must be one revision as ETag gave it, such as "17"`)
		return nil
	}
	return &revision
}

// confirmSettings keeps a change.
//
//	@Summary		Keep a change made with confirm_s
//	@Tags			dispatcher
//	@Security		api_key
//	@Success		200	{object}	confirmAnswer
//	@Failure		400	{object}	errorBody	"BAD_JSON"
//	@Failure		401	{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403	{object}	errorBody	"FORBIDDEN"
//	@Failure		404	{object}	errorBody	"NOT_FOUND: no change waits to be confirmed"
//	@Failure		413	{object}	errorBody	"TOO_LARGE"
//	@Failure		415	{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422	{object}	errorBody	"VALIDATION: a body is not needed and has no fields"
//	@Failure		424	{object}	errorBody	"NODE_REJECTED"
//	@Failure		429	{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500	{object}	errorBody	"INTERNAL"
//	@Router			/v3/confirm_settings/ [post]
func (s *Server) confirmSettings(c echo.Context) error {
	if err := noFields(c); err != nil {
		return err
	}
	revision, err := s.deps.Settings.Confirm(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set("ETag", etag(revision))
	return c.JSON(http.StatusOK, confirmAnswer{Confirmed: true, Revision: revision})
}
