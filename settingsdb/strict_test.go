package settingsdb

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type strictInner struct {
	Text  string   `json:"text"`
	List  []string `json:"list"`
	Small uint8    `json:"small"`
}

type strictEmbedded struct {
	Reason string `json:"reason"`
}

type strictBody struct {
	strictEmbedded
	Name    string                 `json:"name"`
	Count   int                    `json:"count"`
	On      bool                   `json:"on"`
	Ratio   float64                `json:"ratio"`
	Maybe   *int                   `json:"maybe,omitempty"`
	Inner   strictInner            `json:"inner"`
	Items   []strictInner          `json:"items"`
	ByName  map[string]strictInner `json:"by_name"`
	Skipped string                 `json:"-"`
}

func TestStrictReportsEveryProblemWithItsPath(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing wrong":      {`{"name":"x","count":-3,"on":true,"ratio":1.5,"maybe":4,"reason":"r"}`, nil},
		"empty object":       {` {} `, nil},
		"null for a pointer": {`{"maybe":null}`, nil},
		"unknown key":        {`{"xyzzy":1}`, []string{`xyzzy: unknown key "xyzzy"`}},
		"misspelt key":       {`{"cuont":1}`, []string{`cuont: unknown key "cuont", did you mean "count"?`}},
		"key in other case":  {`{"Count":1}`, []string{`Count: unknown key "Count", did you mean "count"?`}},
		"key left out of json": {`{"Skipped":"x","strictEmbedded":1}`, []string{
			`Skipped: unknown key "Skipped"`, `strictEmbedded: unknown key "strictEmbedded"`,
		}},
		"string for number":   {`{"count":"3"}`, []string{"count: must be a whole number, got a string"}},
		"number for string":   {`{"name":3}`, []string{"name: must be a string, got a number"}},
		"number for boolean":  {`{"on":1}`, []string{"on: must be true or false, got a number"}},
		"boolean for number":  {`{"ratio":true}`, []string{"ratio: must be a number, got a boolean"}},
		"null for a string":   {`{"name":null}`, []string{"name: must be a string, got null"}},
		"null for an object":  {`{"inner":null}`, []string{"inner: must be an object, got null"}},
		"object for a list":   {`{"items":{"a":[1,{"b":2}]}}`, []string{"items: must be a list, got an object"}},
		"list for an object":  {`{"inner":[[1],{"a":2}]}`, []string{"inner: must be an object, got a list"}},
		"wrong pointer":       {`{"maybe":"x"}`, []string{"maybe: must be a whole number, got a string"}},
		"fraction":            {`{"count":1.5}`, []string{"count: must be a whole number, got 1.5"}},
		"exponent":            {`{"count":1e3}`, []string{"count: must be a whole number, got 1e3"}},
		"beyond 64 bits":      {`{"count":9223372036854775808}`, []string{"count: must be a whole number, got 9223372036854775808"}},
		"beyond a float":      {`{"ratio":1e999}`, []string{"ratio: must be a number, got 1e999"}},
		"beyond a byte":       {`{"inner":{"small":256}}`, []string{"inner.small: must be a whole number from 0 to 255, got 256"}},
		"negative byte":       {`{"inner":{"small":-1}}`, []string{"inner.small: must be a whole number from 0 to 255, got -1"}},
		"key twice":           {`{"count":1,"count":"x"}`, []string{"count: is given twice: give every key once"}},
		"key twice by escape": {`{"count":1,"\u0063ount":2}`, []string{"count: is given twice: give every key once"}},
		"key twice in a map":  {`{"by_name":{"a":{},"a":{}}}`, []string{"by_name.a: is given twice: give every key once"}},
		"inside a list":       {`{"items":[{},{"text":1,"nope":{}}]}`, []string{"items[1].text: must be a string, got a number", `items[1].nope: unknown key "nope"`}},
		"wrong elements":      {`{"items":[1,{"list":["a",2]},null]}`, []string{"items[0]: must be an object, got a number", "items[1].list[1]: must be a string, got a number", "items[2]: must be an object, got null"}},
		"inside a map":        {`{"by_name":{"10.0.0.2":{"small":"x"}}}`, []string{"by_name.10.0.0.2.small: must be a whole number, got a string"}},
		"empty key":           {`{"":1}`, []string{`"": unknown key ""`}},
		"unprintable key":     {`{"a\nb":1}`, []string{`"a\nb": unknown key "a\nb"`}},
		"several at once":     {`{"count":"x","on":2,"zzzzz":[{}],"name":[]}`, []string{"count: must be a whole number, got a string", "on: must be true or false, got a number", `zzzzz: unknown key "zzzzz"`, "name: must be a string, got a list"}},
	} {
		t.Run(name, func(t *testing.T) {
			var body strictBody
			problems := Strict([]byte(c.text), &body)
			if diff := cmp.Diff(c.want, lines(problems)); diff != "" {
				t.Errorf("problems of %s (-want +got):\n%s", c.text, diff)
			}
			if problems.Syntax() {
				t.Errorf("Syntax() of %s: got true, want false", c.text)
			}
		})
	}
}

func lines(problems Problems) []string {
	var out []string
	for _, p := range problems {
		out = append(out, p.String())
	}
	return out
}

func TestStrictFillsOnlyWhatIsGiven(t *testing.T) {
	body := strictBody{Name: "kept", Count: 7, Inner: strictInner{Text: "kept", Small: 9}, Items: make([]strictInner, 3)}
	problems := Strict([]byte(`{"count":"wrong","inner":{"small":5},"items":[{"text":"new"}],"maybe":0,"reason":"r"}`), &body)
	if len(problems) != 1 {
		t.Errorf("problems: got %v, want one", problems)
	}
	zero := 0
	want := strictBody{
		strictEmbedded: strictEmbedded{Reason: "r"}, Name: "kept", Count: 7, Maybe: &zero,
		Inner: strictInner{Text: "kept", Small: 5}, Items: []strictInner{{Text: "new"}},
	}
	if diff := cmp.Diff(want, body, cmp.AllowUnexported(strictBody{}, strictEmbedded{})); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestStrictRefusesWhatIsNoObject(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {"", "empty"},
		"blank":              {" \n\t", "empty"},
		"cut off":            {`{"count":`, "unexpected end"},
		"no JSON":            {`is_enabled=true`, "not valid JSON"},
		"place of the error": {"{\n  \"a\": 1,\n  oops\n}", "line 3, column 3"},
		"trailing comma":     {`{"count":1,}`, "not valid JSON"},
		"data behind":        {`{"count":1} {"count":2}`, "not valid JSON"},
		"list":               {`[{"count":1}]`, "got a list"},
		"string":             {`"x"`, "got a string"},
		"number":             {` 12`, "got a number"},
		"null":               {`null`, "got null"},
		"boolean":            {`true`, "got a boolean"},
		"bad UTF-8":          {"{\"name\":\"\xff\"}", "UTF-8"},
		"depth bomb":         {`{"name":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}`, "deeper than 32"},
		"open depth bomb":    {strings.Repeat(`{"a":`, 30000), "deeper than 32"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strictBody{Count: 7}
			problems := Strict([]byte(c.text), &body)
			if len(problems) != 1 || !problems.Syntax() || !strings.Contains(problems.Error(), c.want) {
				t.Errorf("problems: got %q (syntax %v), want one syntax problem with %q", problems, problems.Syntax(), c.want)
			}
			if body.Count != 7 {
				t.Errorf("destination: got %+v, want it untouched", body)
			}
		})
	}
}

func TestStrictSaysLittleAboutMuch(t *testing.T) {
	long := strings.Repeat("k", 30000)
	for name, text := range map[string]string{
		"many unknown keys":  `{` + manyMembers(8000) + `}`,
		"many under one key": `{"by_name":{"` + long + `":{` + manyMembers(4000) + `}}}`,
		"one long key":       `{"` + long + `":1}`,
	} {
		var body strictBody
		problems := Strict([]byte(text), &body)
		if got := len(problems); got == 0 || got > maxProblems {
			t.Errorf("%s: got %d problems, want 1..%d", name, got, maxProblems)
		}
		if got, most := len(problems.Error()), maxProblems*4*maxShown; got > most {
			t.Errorf("%s: got %d bytes of problems, want at most %d", name, got, most)
		}
	}
}

func manyMembers(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = `"u` + strings.Repeat("x", i%5) + string(rune('a'+i%26)) + strings.Repeat("y", i/130%70) + `":1`
	}
	return strings.Join(members, ",")
}
