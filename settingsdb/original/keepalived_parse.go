package original

import (
	"strings"
)

// Statement is one of keepalived.conf: words, and a block in braces that may follow.
type Statement struct {
	Line  int
	Words []string
	Block []Statement
	Open  bool // there is a block, if an empty one
}

// maxDepth bounds how deep blocks lie in each other; real ones lie three deep.
const maxDepth = 16

// ParseKeepalived reads keepalived.conf. The error joins a *SyntaxError for every line
// that is wrong, the first 20 of them; there are no statements then.
func ParseKeepalived(file []byte) ([]Statement, error) {
	text, err := lines(file)
	if err != nil {
		return nil, err
	}
	p := keepalivedParser{levels: []level{{}}}
	for i, line := range text {
		words, problem := keepalivedWords(line)
		if problem != "" {
			p.wrong.add(i+1, problem)
			continue
		}
		p.line(i+1, words)
	}
	if open := p.levels[len(p.levels)-1].opened; len(p.levels) > 1 {
		p.wrong.add(open, "the block that begins here is not closed: } is missing")
	}
	if len(p.wrong) > 0 {
		return nil, p.wrong.err()
	}
	return p.levels[0].body, nil
}

// level is a block that is being read.
type level struct {
	opened int // the line
	body   []Statement
}

type keepalivedParser struct {
	levels []level // the outermost first
	wrong  problems
}

func (p *keepalivedParser) top() *level { return &p.levels[len(p.levels)-1] }

// line takes the words of one line, among which are braces.
func (p *keepalivedParser) line(number int, words []string) {
	var statement []string
	flush := func() {
		if len(statement) > 0 {
			p.top().body = append(p.top().body, Statement{Line: number, Words: statement})
		}
		statement = nil
	}
	for _, w := range words {
		switch w {
		case "{":
			flush()
			p.open(number)
		case "}":
			flush()
			p.close(number)
		default:
			statement = append(statement, unquoted(w))
		}
	}
	flush()
}

// open begins the block of the statement before, which may be on an earlier line.
func (p *keepalivedParser) open(number int) {
	body := p.top().body
	switch {
	case len(body) == 0 || body[len(body)-1].Open:
		p.wrong.add(number, "{ without a name before it")
		body = append(body, Statement{Line: number, Words: []string{"?"}})
		p.top().body = body
	case len(p.levels) > maxDepth:
		p.wrong.add(number, "blocks lie too deep in each other")
		return
	}
	body[len(body)-1].Open = true
	p.levels = append(p.levels, level{opened: number})
}

func (p *keepalivedParser) close(number int) {
	if len(p.levels) == 1 {
		p.wrong.add(number, "} without a { before it")
		return
	}
	done := p.top().body
	p.levels = p.levels[:len(p.levels)-1]
	body := p.top().body
	body[len(body)-1].Block = done
}

// quoted marks a word that was in quotes, so that a brace in it is none.
const quoted = "\x00"

func unquoted(word string) string { return strings.TrimPrefix(word, quoted) }

// keepalivedWords cuts a line into words; braces are words of their own. # and ! begin a
// comment.
func keepalivedWords(line string) (words []string, problem string) {
	for i := 0; i < len(line); {
		c := line[i]
		switch {
		case blank(c):
			i++
		case c == '#' || c == '!':
			return words, ""
		case c == '{' || c == '}':
			words = append(words, string(c))
			i++
		case c == '"' || c == '\'':
			n := strings.IndexByte(line[i+1:], c)
			if n < 0 {
				return nil, unclosed
			}
			words = append(words, quoted+line[i+1:i+1+n])
			i += n + 2
		default:
			n := strings.IndexAny(line[i:], " \t\r\v\f{}#!\"'")
			if n < 0 {
				n = len(line) - i
			}
			words = append(words, line[i:i+n])
			i += n
		}
	}
	return words, ""
}
