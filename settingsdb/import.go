package settingsdb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
)

// maxImport bounds a document in a plain file; a real one has a few kilobytes.
const maxImport = 1 << 20

// ReadOriginal reads a database of the original, or a plain file with its JSON
// document, and returns the document as [Original] converts it. The file is
// not changed. An invalid document gives [Problems] as the wrapped error.
func ReadOriginal(path string) (Settings, error) {
	document, err := originalDocument(resolved(path))
	if err != nil {
		return Settings{}, err
	}
	s, problems := Original(document)
	if len(problems) > 0 {
		return s, fmt.Errorf("%s: %w", path, problems)
	}
	return s, nil
}

func originalDocument(path string) ([]byte, error) {
	isDatabase, text, err := readStart(path)
	if err != nil || !isDatabase {
		return text, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	found, err := look(ctx, path, asFound)
	if err == nil && found.original == nil {
		err = fmt.Errorf("database %s: %w of the original: it has been upgraded already", path, ErrForeign)
	}
	return found.original, err
}

// readStart returns the text of a plain file, or that it is a database.
func readStart(path string) (isDatabase bool, text []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, nil, err
	}
	defer func() { _ = file.Close() }()
	text, err = io.ReadAll(io.LimitReader(file, maxImport+1))
	if err != nil {
		return false, nil, err
	}
	if bytes.HasPrefix(text, []byte("SQLite format 3\x00")) {
		return true, nil, nil
	}
	if len(text) > maxImport {
		return false, nil, fmt.Errorf("%s: a document of at most %d bytes is expected", path, maxImport)
	}
	return false, text, nil
}
