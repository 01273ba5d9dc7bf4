package original

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Values are values of the document by the paths of their keys, such as "vrrp.router_id":
// texts, numbers, booleans and lists of texts. "priority" is that of this node.
type Values map[string]any

// Problem is what is wrong with a document. Field is the path of a key, Message says what
// would be right.
type Problem struct{ Field, Message string }

// Document is what a file is laid over. Now holds every path that a file can come to.
type Document struct {
	Now   Values
	Check func(Values) []Problem // what is wrong with it when these are its values
}

// Report says what became of a file.
type Report struct {
	Values Values // those of the document with what was taken
	Lines  []Line // one for each directive, in the order of the file
}

// Line says what became of one directive.
type Line struct {
	Number int    // from 1
	Text   string // of the directive, without secrets
	Result string // begins with "taken as", "already so", "not taken" or "not needed"
}

// draft is a file on its way into a document.
type draft struct {
	doc   Document
	lines []Line
	takes []take
}

// take is what a line has for the document. A line may have several.
type take struct {
	line    int // index
	path    string
	value   any
	refused string // why it is not taken; "": it is
	remark  string
}

// say adds a line with its outcome.
func (d *draft) say(number int, words []string, result string) {
	d.lines = append(d.lines, Line{Number: number, Text: shown(words), Result: result})
}

func (d *draft) notNeeded(number int, words []string, why string) {
	d.say(number, words, "not needed: "+why)
}

func (d *draft) notTaken(number int, words []string, why string) {
	d.say(number, words, "not taken: "+why)
}

// takes notes a line with what it has for the document.
func (d *draft) take(number int, words []string, list ...take) {
	d.say(number, words, "")
	for _, t := range list {
		t.line = len(d.lines) - 1
		d.takes = append(d.takes, t)
	}
}

// report settles what is taken: what the rules of the document refuse is left out, until
// they refuse nothing.
func (d *draft) report() (Report, error) {
	d.disagree()
	for {
		next := d.laid()
		problems := d.doc.Check(next)
		if len(problems) == 0 {
			return Report{Values: next, Lines: d.results()}, nil
		}
		if !d.blame(problems) {
			return Report{}, errors.New("the settings would be wrong: " + problems[0].Field + ": " + problems[0].Message)
		}
	}
}

// disagree refuses what a file says differently after it was said: which of the two
// counts would be a guess.
func (d *draft) disagree() {
	first := map[string]take{}
	for i, t := range d.takes {
		before, said := first[t.path]
		switch {
		case t.refused != "":
		case !said:
			first[t.path] = t
		case !reflect.DeepEqual(before.value, t.value):
			d.takes[i].refused = fmt.Sprintf("line %d says %s = %s", d.lines[before.line].Number, t.path, written(before.value))
		}
	}
}

func (d *draft) laid() Values {
	next := maps.Clone(d.doc.Now)
	for _, t := range d.takes {
		if t.refused == "" {
			next[t.path] = t.value
		}
	}
	return next
}

// blame refuses what problems are about, else what the file changes in the same group of
// keys, and tells whether there is something.
func (d *draft) blame(problems []Problem) bool {
	return d.refuse(problems, func(t take, field string) bool {
		return field == t.path || strings.HasPrefix(field, t.path+"[") || t.path == "priority" && strings.HasPrefix(field, "nodes.")
	}) || d.refuse(problems, func(t take, field string) bool {
		group, _, inGroup := strings.Cut(field, ".")
		return inGroup && strings.HasPrefix(t.path, group+".") && !reflect.DeepEqual(d.doc.Now[t.path], t.value)
	})
}

func (d *draft) refuse(problems []Problem, concerns func(t take, field string) bool) bool {
	blamed := false
	for _, p := range problems {
		for i, t := range d.takes {
			if t.refused == "" && concerns(t, p.Field) {
				d.takes[i].refused = p.Field + ": " + p.Message
				blamed = true
			}
		}
	}
	return blamed
}

// results puts in words what became of the lines.
func (d *draft) results() []Line {
	for _, t := range d.takes {
		text := "taken as " + t.path + " = " + written(t.value)
		switch {
		case t.refused != "":
			text = "not taken: " + t.refused
		case reflect.DeepEqual(d.doc.Now[t.path], t.value):
			text = "already so: " + t.path + " = " + written(t.value)
		}
		if t.remark != "" {
			text += " (" + t.remark + ")"
		}
		l := &d.lines[t.line]
		if l.Result != "" {
			text = l.Result + "; " + text
		}
		l.Result = text
	}
	return d.lines
}

// written is a value as JSON has it.
func written(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []string:
		var texts []string
		for _, t := range v {
			texts = append(texts, fmt.Sprintf("%q", t))
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	return fmt.Sprint(value)
}

// shownMax bounds what is repeated of a line.
const shownMax = 60

// secret are words that a secret follows.
var secret = []string{"auth", "auth_pass", "password", "insecure-password"}

// shown are the words of a line for people: without secrets, and without what a terminal
// would obey.
func shown(words []string) string {
	words = slices.Clone(words)
	for i := 1; i < len(words); i++ {
		if slices.Contains(secret, words[i-1]) {
			words[i] = "(hidden)"
		}
	}
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.Join(words, " "))
	if r := []rune(text); len(r) > shownMax {
		return string(r[:shownMax]) + "..."
	}
	return text
}
