package settingsdb

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// rows is what a transaction and a pool have in common for reading.
type rows interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// originalRow returns the document of an original database: table settings
// with one row, the JSON in a column of whatever name among whatever others.
func originalRow(ctx context.Context, db rows, version int) ([]byte, error) {
	tables, err := column(ctx, db, "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		return nil, err
	}
	if version != 0 || !slices.Contains(tables, "settings") || slices.Contains(tables, "history") {
		return nil, fmt.Errorf("%w; it was left as it is: name another file or move it away", ErrForeign)
	}
	texts, err := column(ctx, db, "SELECT * FROM settings WHERE (SELECT count(*) FROM settings) = 1")
	if err != nil {
		return nil, err
	}
	return documentAmong(texts)
}

// documentAmong picks the document among the values of the settings row.
func documentAmong(texts []string) ([]byte, error) {
	var documents []string
	for _, text := range texts {
		if syntax([]byte(text)) == "" {
			documents = append(documents, text)
		}
	}
	if i := slices.IndexFunc(documents, func(text string) bool { return IsOriginal([]byte(text)) }); i > 0 {
		documents = documents[i : i+1]
	}
	if len(documents) == 0 {
		return nil, fmt.Errorf("%w; it was left as it is: its table settings does not hold one row with a JSON document", ErrForeign)
	}
	return []byte(documents[0]), nil
}

// column returns all values of all rows as text, NULL as "".
func column(ctx context.Context, db rows, query string) ([]string, error) {
	found, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	names, err := found.Columns()
	if err != nil {
		return nil, err
	}
	values, targets := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	var texts []string
	for found.Next() {
		if err := found.Scan(targets...); err != nil {
			return nil, err
		}
		for _, value := range values {
			texts = append(texts, value.String)
		}
	}
	return texts, found.Err()
}
