package settingsdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is deeper than any document of ours and shallow enough for any stack.
const maxDepth = 32

// Strict decodes the JSON object data into dst, a pointer to a struct, by its
// json tags, and reports every problem at once: unknown and repeated keys,
// wrong types, numbers that do not fit, null anywhere but in a pointer field.
// Keys are compared exactly. A member that is absent or wrong leaves its field
// as it was, so dst can hold defaults; lists and maps are replaced as a whole
// and their elements start from zero. Structs, maps with string keys, slices,
// pointers, strings, booleans, integers and floats are understood; another
// kind of field in dst is a mistake of the caller and panics.
//
// Text that is not one JSON object gives a single problem for which
// [Problems.Syntax] is true, and leaves dst alone.
func Strict(data []byte, dst any) Problems {
	if problem := syntax(data); problem != "" {
		return Problems{{Message: problem}}
	}
	d := decoder{tokens: json.NewDecoder(bytes.NewReader(data))}
	d.tokens.UseNumber()
	d.value("", reflect.ValueOf(dst).Elem())
	return d.problems
}

// syntax says what keeps data from being one JSON object, "" if nothing does.
func syntax(data []byte) string {
	if len(bytes.TrimSpace(data)) == 0 {
		return "the text is empty: a JSON object is expected"
	}
	if !utf8.Valid(data) {
		return "the text is not valid UTF-8"
	}
	if depth(data) > maxDepth {
		return fmt.Sprintf("the text is nested deeper than %d levels", maxDepth)
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return "the text is not valid JSON: " + at(data, err)
	}
	if raw[0] != '{' {
		return "a JSON object is expected, got " + kindOfText(raw[0])
	}
	return ""
}

// depth counts the nesting of brackets outside strings; for text that is not
// JSON it is only a bound.
func depth(data []byte) int {
	deepest, level, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			level++
			deepest = max(deepest, level)
		case !quoted && (c == '}' || c == ']'):
			level--
		}
	}
	return deepest
}

// at adds line and column to a syntax error.
func at(data []byte, err error) string {
	var wrong *json.SyntaxError
	if !errors.As(err, &wrong) {
		return err.Error()
	}
	before := data[:min(max(int(wrong.Offset)-1, 0), len(data))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("%s (line %d, column %d)", wrong, line, column)
}

func kindOfText(first byte) string {
	switch {
	case first == '"':
		return "a string"
	case first == '[':
		return "a list"
	case first == 't' || first == 'f':
		return "a boolean"
	case first == 'n':
		return "null"
	}
	return "a number"
}

func kindOf(token json.Token) string {
	switch token {
	case nil:
		return "null"
	case json.Delim('{'):
		return "an object"
	case json.Delim('['):
		return "a list"
	}
	switch token.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	}
	return "a number"
}

// join appends a key to a path. Keys are foreign text: what is long, empty or
// unprintable is quoted and cut, so that a path stays readable and small.
func join(path, key string) string {
	name := shown(key)
	if path == "" {
		return name
	}
	return path + "." + name
}

// maxShown is how many bytes of a foreign text are repeated in a message.
const maxShown = 64

// shown is text as part of a path, quoted if it has to be.
func shown(text string) string {
	if q := quoted(text); q != `"`+text+`"` || text == "" {
		return q
	}
	return text
}

// quoted is text for a message, always quoted.
func quoted(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return strconv.Quote(text)
}
