package settingsdb

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
)

// JSON returns the complete document on one line, without HTML escaping and
// without null: this is the text that the table settings holds.
func (s Settings) JSON() []byte {
	text, err := encode(s.filled())
	if err != nil {
		panic("settingsdb: a document of plain fields failed to encode: " + err.Error())
	}
	return text
}

// Node returns what differs on the node with this internal address, the zero
// value when nothing does. The address is compared by value, not by spelling.
func (s Settings) Node(addr netip.Addr) NodeSettings {
	for text, node := range s.Nodes {
		if key, err := netip.ParseAddr(text); err == nil && key.Unmap() == addr.Unmap() {
			return node
		}
	}
	return NodeSettings{}
}

// Changed returns the top-level keys whose values differ, in document order.
func Changed(a, b Settings) []string {
	changed := []string{}
	left, right := reflect.ValueOf(a.filled()), reflect.ValueOf(b.filled())
	for i, key := range topLevelKeys() {
		if !reflect.DeepEqual(left.Field(i).Interface(), right.Field(i).Interface()) {
			changed = append(changed, key)
		}
	}
	return changed
}

// filled returns the document with empty instead of nil slices and map, so that
// it encodes and compares by meaning.
func (s Settings) filled() Settings {
	for _, list := range []*[]string{
		&s.InternalAddrs, &s.DispAddrs, &s.TrustedProxies, &s.Targets.Ports, &s.Console.AllowedOrigins,
	} {
		if *list == nil {
			*list = []string{}
		}
	}
	if s.Targets.Allow == nil {
		s.Targets.Allow = []Target{}
	}
	s.TLS.ACME = s.TLS.ACME.filled()
	if s.Nodes == nil {
		s.Nodes = map[string]NodeSettings{}
	}
	return s
}

// topLevelKeys returns the keys of the document in their order.
func topLevelKeys() []string {
	keys := make([]string, 0, 40)
	for field := range reflect.TypeFor[Settings]().Fields() {
		keys = append(keys, field.Tag.Get("json"))
	}
	return keys
}

func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
