package settingsdb

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// decoder walks tokens that are known to be valid JSON.
type decoder struct {
	tokens   *json.Decoder
	problems Problems
	guesses  int
}

func (d *decoder) next() json.Token {
	token, err := d.tokens.Token()
	if err != nil {
		panic("settingsdb: checked JSON failed to decode: " + err.Error())
	}
	return token
}

func (d *decoder) value(path string, dst reflect.Value) {
	d.decode(path, d.next(), dst)
}

func (d *decoder) decode(path string, token json.Token, dst reflect.Value) {
	switch dst.Kind() {
	case reflect.Pointer:
		d.pointer(path, token, dst)
	case reflect.Struct:
		d.container(path, token, '{', "an object", func() { d.object(path, dst) })
	case reflect.Map:
		d.container(path, token, '{', "an object", func() { d.table(path, dst) })
	case reflect.Slice:
		d.container(path, token, '[', "a list", func() { d.list(path, dst) })
	default:
		d.scalar(path, token, dst)
	}
}

// defaulted is an object that is absent by default and has members with defaults of
// their own once it is there.
type defaulted interface{ setDefaults() }

func (d *decoder) pointer(path string, token json.Token, dst reflect.Value) {
	if token == nil {
		dst.SetZero()
		return
	}
	inner := reflect.New(dst.Type().Elem())
	if d, ok := inner.Interface().(defaulted); ok {
		d.setDefaults()
	}
	before := len(d.problems)
	d.decode(path, token, inner.Elem())
	if len(d.problems) == before {
		dst.Set(inner)
	}
}

func (d *decoder) container(path string, token json.Token, open json.Delim, want string, read func()) {
	if token == open {
		read()
		return
	}
	d.wrong(path, want, token)
}

// object reads members into the fields of a struct.
func (d *decoder) object(path string, dst reflect.Value) {
	fields := fieldsOf(dst.Type())
	d.members(path, func(key, at string) {
		index, known := fields[key]
		if !known {
			d.unknown(at, key, fields)
			d.skip(d.next())
			return
		}
		d.value(at, dst.FieldByIndex(index))
	})
}

// table reads members into a new map.
func (d *decoder) table(path string, dst reflect.Value) {
	out := reflect.MakeMap(dst.Type())
	d.members(path, func(key, at string) {
		element := reflect.New(dst.Type().Elem()).Elem()
		d.value(at, element)
		out.SetMapIndex(reflect.ValueOf(key).Convert(dst.Type().Key()), element)
	})
	dst.Set(out)
}

// members calls read for every key of the object under way; a repeated key is a
// problem and its later values are skipped.
func (d *decoder) members(path string, read func(key, at string)) {
	seen := map[string]bool{}
	for d.tokens.More() {
		key, _ := d.next().(string)
		at := join(path, key)
		if seen[key] {
			d.problems.add(at, "is given twice: give every key once")
			d.skip(d.next())
			continue
		}
		seen[key] = true
		read(key, at)
	}
	d.next()
}

// list reads elements into a new slice. A wrong element keeps its place, so
// that the indices in paths are those of the text.
func (d *decoder) list(path string, dst reflect.Value) {
	out := reflect.MakeSlice(dst.Type(), 0, 0)
	for i := 0; d.tokens.More(); i++ {
		element := reflect.New(dst.Type().Elem()).Elem()
		d.value(path+"["+strconv.Itoa(i)+"]", element)
		out = reflect.Append(out, element)
	}
	d.next()
	dst.Set(out)
}

func (d *decoder) scalar(path string, token json.Token, dst reflect.Value) {
	switch kind := dst.Kind(); {
	case kind == reflect.Bool:
		if v, ok := token.(bool); ok {
			dst.SetBool(v)
			return
		}
		d.wrong(path, "true or false", token)
	case kind == reflect.String:
		if v, ok := token.(string); ok {
			dst.SetString(v)
			return
		}
		d.wrong(path, "a string", token)
	case dst.CanInt(), dst.CanUint(), dst.CanFloat():
		d.number(path, token, dst)
	default:
		panic(fmt.Sprintf("settingsdb: Strict cannot decode into %s (%s)", dst.Type(), path))
	}
}

func (d *decoder) number(path string, token json.Token, dst reflect.Value) {
	want := "a whole number"
	if dst.CanFloat() {
		want = "a number"
	}
	text, ok := token.(json.Number)
	if !ok {
		d.wrong(path, want, token)
		return
	}
	if err := setNumber(dst, string(text)); err != nil {
		d.problems.add(path, "must be %s%s, got %s", want, bounds(dst), shown(string(text)))
	}
}

func setNumber(dst reflect.Value, text string) error {
	bits := dst.Type().Bits()
	switch {
	case dst.CanInt():
		n, err := strconv.ParseInt(text, 10, bits)
		if err == nil {
			dst.SetInt(n)
		}
		return err
	case dst.CanUint():
		n, err := strconv.ParseUint(text, 10, bits)
		if err == nil {
			dst.SetUint(n)
		}
		return err
	}
	n, err := strconv.ParseFloat(text, bits)
	if err == nil {
		dst.SetFloat(n)
	}
	return err
}

// bounds names the range of the small integer types; that of the large ones
// tells nobody anything.
func bounds(dst reflect.Value) string {
	bits := dst.Type().Bits()
	switch {
	case dst.CanUint() && bits <= 32:
		return fmt.Sprintf(" from 0 to %d", uint64(1)<<bits-1)
	case dst.CanInt() && bits <= 32:
		return fmt.Sprintf(" from -%d to %d", uint64(1)<<(bits-1), uint64(1)<<(bits-1)-1)
	case dst.CanUint():
		return ", not negative"
	}
	return ""
}

func (d *decoder) wrong(path, want string, token json.Token) {
	d.problems.add(path, "must be %s, got %s", want, kindOf(token))
	d.skip(token)
}

// skip reads the rest of the value that token began.
func (d *decoder) skip(token json.Token) {
	level := 0
	for {
		switch token {
		case json.Delim('{'), json.Delim('['):
			level++
		case json.Delim('}'), json.Delim(']'):
			level--
		}
		if level == 0 {
			return
		}
		token = d.next()
	}
}

// fieldsOf maps the keys of a struct to its fields, those of embedded structs
// included.
func fieldsOf(t reflect.Type) map[string][]int {
	fields := map[string][]int{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous || !field.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		fields[name] = field.Index
	}
	return fields
}
