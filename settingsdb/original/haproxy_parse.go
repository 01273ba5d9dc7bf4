package original

import (
	"slices"
	"strings"
)

// Section is one of haproxy.cfg, such as "frontend tunnels" and what is below.
type Section struct {
	Line int
	Kind string
	Name string
	Body []Directive
}

// Directive is one line of a section, in words without quotes and backslashes.
type Directive struct {
	Line  int
	Words []string
}

// sections are the words that begin one (HAProxy's manual, sections 2 to 12).
var sections = []string{
	"global", "defaults", "listen", "frontend", "backend", "peers", "resolvers", "userlist", "mailers", "program", "cache",
	"http-errors", "ring", "fcgi-app", "log-forward", "crt-store", "traces", "log-profile", "acme",
}

// ParseHAProxy reads haproxy.cfg. The error joins a *SyntaxError for every line that is
// wrong, the first 20 of them; there are no sections then.
func ParseHAProxy(file []byte) ([]Section, error) {
	text, err := lines(file)
	if err != nil {
		return nil, err
	}
	var all []Section
	var wrong problems
	for i, line := range text {
		words, problem := haproxyWords(line)
		switch {
		case problem != "":
			wrong.add(i+1, problem)
		case len(words) == 0:
		case strings.HasPrefix(words[0], "."):
			wrong.add(i+1, words[0]+" is a condition, whose outcome would be a guess: write what holds on this host")
		case slices.Contains(sections, words[0]):
			all = append(all, Section{Line: i + 1, Kind: words[0], Name: strings.Join(words[1:min(2, len(words))], "")})
		case len(all) == 0:
			wrong.add(i+1, "a directive before the first section: this must be haproxy.cfg")
		default:
			s := &all[len(all)-1]
			s.Body = append(s.Body, Directive{i + 1, words})
		}
	}
	if len(wrong) > 0 {
		return nil, wrong.err()
	}
	return all, nil
}

// haproxyWords cuts a line into words (HAProxy's manual, section 2.2): a backslash takes
// the next byte as it is, strong quotes take all, weak ones all but backslashes.
func haproxyWords(line string) (words []string, problem string) {
	var word strings.Builder
	begun, quote := false, byte(0)
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			begun = true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, begun = c, true
		case c == '#':
			end()
			return words, ""
		case blank(c):
			end()
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	end()
	if quote != 0 {
		return nil, unclosed
	}
	return words, ""
}
