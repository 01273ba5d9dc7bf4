package settingsdb

import "reflect"

// valuesOf reads fields of a document by their paths: what a foreign file is laid over.
func valuesOf(fields map[string]any) map[string]any {
	values := map[string]any{}
	for path, field := range fields {
		values[path] = reflect.ValueOf(field).Elem().Interface()
	}
	return values
}

// setFields writes them. Each value has the type of its field.
func setFields(fields, values map[string]any) {
	for path, field := range fields {
		reflect.ValueOf(field).Elem().Set(reflect.ValueOf(values[path]))
	}
}
