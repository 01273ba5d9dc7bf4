package pveproxy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report says what became of a file.
type Report struct {
	Values Values // those of the document with what was taken
	Lines  []Line // one for each key, in the order of the file
}

// Line says what became of one key.
type Line struct {
	Key    string
	Path   string // in the document; "" for a key that was not taken
	Result string // begins with "taken as", "already so" or "not taken"
}

// Import lays a file over a document. certificate is where the certificate to the file's
// TLS_KEY_FILE is on this machine, "" if that is not known. The last assignment of a key
// counts. The error says why the access list cannot be taken as the file has it, or that
// the document is wrong by itself; then nothing is taken.
func Import(d Document, file []Assignment, certificate string) (Report, error) {
	m := merge{
		Document: d, certificate: certificate,
		given: map[string]Assignment{}, overridden: map[string]int{}, refused: map[string]string{},
	}
	m.read(file)
	if err := m.halfList(); err != nil {
		return Report{}, err
	}
	next, err := m.settle()
	if err == nil {
		err = m.accessRefused()
	}
	if err != nil {
		return Report{}, err
	}
	r := Report{Values: next}
	for _, name := range m.order {
		r.Lines = append(r.Lines, m.line(name, next))
	}
	return r, nil
}

// merge is a file on its way into a document.
type merge struct {
	Document
	certificate string
	order       []string              // the keys, as they first appear
	given       map[string]Assignment // the last one of each key
	overridden  map[string]int        // the line of the one before, where there is one
	refused     map[string]string     // why a key is not taken
}

func (m *merge) read(file []Assignment) {
	for _, a := range file {
		if before, again := m.given[a.Key]; again {
			m.overridden[a.Key] = before.Line
		} else {
			m.order = append(m.order, a.Key)
		}
		m.given[a.Key] = a
	}
	if a, given := m.given[keyFile]; given {
		if reason := m.keyFileRefused(a.Value); reason != "" {
			m.refused[keyFile] = reason
		}
	}
}

// keyFileRefused says why a key file cannot be taken, "" if it can.
func (m *merge) keyFileRefused(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case name == m.Now[keyPath]:
		return ""
	case m.Now[certificatePath] != "":
		return "there is another certificate with its key already: set tls.cert_file and tls.key_file together"
	case m.certificate == "":
		return "it needs tls.cert_file beside it (pveproxy's is " + Certificate + "): set tls.cert_file and tls.key_file together"
	}
	return ""
}

// settle leaves out what the rules of the document refuse, until they refuse nothing.
func (m *merge) settle() (Values, error) {
	for {
		next := m.laid()
		problems := m.Check(next)
		if len(problems) == 0 {
			return next, nil
		}
		if !m.blame(problems) && !m.blameGroup(problems, next) {
			return nil, ownProblem(problems[0])
		}
	}
}

// ownProblem is one that the document had before.
func ownProblem(p Problem) error {
	return errors.New("the settings are wrong by themselves: " + p.Field + ": " + p.Message)
}

// laid are the values with those of every key that is not refused.
func (m *merge) laid() Values {
	next := maps.Clone(m.Now)
	for _, k := range keys {
		if !m.taken(k.name) {
			continue
		}
		value, err := read(m.given[k.name].Value, m.Usual[k.path])
		if err != nil {
			m.refused[k.name] = err.Error()
			continue
		}
		next[k.path] = value
	}
	if m.taken(keyFile) && next[certificatePath] == "" {
		next[certificatePath] = m.certificate
	}
	return next
}

func (m *merge) taken(name string) bool {
	_, given := m.given[name]
	_, refused := m.refused[name]
	return given && !refused
}

// blame refuses the keys that problems are about, and tells whether there is one.
func (m *merge) blame(problems []Problem) bool {
	blamed := false
	for _, p := range problems {
		i := slices.IndexFunc(keys, func(k key) bool { return k.path == p.Field && m.taken(k.name) })
		if i >= 0 {
			m.refused[keys[i].name] = p.Message
			blamed = true
		}
	}
	return blamed
}

// blameGroup refuses what problems of keys that are not in the file must come from: what
// the file changes in the same group.
func (m *merge) blameGroup(problems []Problem, next Values) bool {
	blamed := false
	for _, p := range problems {
		group, _, _ := strings.Cut(p.Field, ".")
		for _, k := range keys {
			if strings.HasPrefix(k.path, group+".") && m.taken(k.name) && next[k.path] != m.Now[k.path] {
				m.refused[k.name] = p.Field + ": " + p.Message
				blamed = true
			}
		}
	}
	return blamed
}

// line says what became of a key.
func (m *merge) line(name string, next Values) Line {
	l := Line{Key: name}
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	switch {
	case i < 0:
		l.Result = "not taken: " + unknown(name)
	case !m.taken(name):
		l.Result = "not taken: " + m.refused[name]
	default:
		l.Path = keys[i].path
		l.Result = m.accepted(l.Path, next)
	}
	if before := m.overridden[name]; before > 0 {
		l.Result += fmt.Sprintf("; line %d overrides line %d", m.given[name].Line, before)
	}
	return l
}

func (m *merge) accepted(path string, next Values) string {
	if next[path] == m.Now[path] {
		return "already so"
	}
	text := "taken as " + path + " = " + written(next[path])
	if path == keyPath {
		text += ", with " + certificatePath + " = " + written(next[certificatePath])
	}
	return text
}
