package api

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"
)

// query is the query string of a request. A parameter nobody knows is refused
// by name: a misspelt dry_run would change the settings.
type query struct {
	fields
	values url.Values
}

func newQuery(c echo.Context, known ...string) *query {
	q := &query{values: url.Values{}}
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		q.add("query", "cannot be read: %v", err)
		return q
	}
	for name := range values {
		if !slices.Contains(known, name) {
			q.add(name, "unknown query parameter")
		}
	}
	q.values = values
	return q
}

// text is the last value of a parameter; nil when there is none or it is empty.
func (q *query) text(name string) *string {
	given := q.values[name]
	if len(given) == 0 || given[len(given)-1] == "" {
		return nil
	}
	return &given[len(given)-1]
}

func (q *query) flag(name string) bool {
	text := value(q.text(name))
	switch text {
	case "1", "true":
		return true
	case "", "0", "false":
	default:
		q.add(name, "must be 1 or 0, true or false")
	}
	return false
}

func (q *query) number(name string, absent, least, most int) int {
	text := q.text(name)
	if text == nil {
		return absent
	}
	n, err := strconv.Atoi(*text)
	if err != nil {
		q.add(name, "must be a whole number, %d..%d", least, most)
		return absent
	}
	return q.fields.number(name, &n, least, most)
}
