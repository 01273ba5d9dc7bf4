package main

import (
	"bytes"
	"fmt"
	"strings"
)

// head opens the file.
const head = `Third-party notices

vdi-gateway is licensed under the Apache License 2.0 (see LICENSE). The program
contains the works below, each under its own licence. This file is made by
"make generate" from what is linked in and embedded.

`

// line separates the texts.
var line = strings.Repeat("-", 78) + "\n"

// render prints the list of works, then every text once with those it covers.
func render(works []work) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	for _, w := range works {
		fmt.Fprintf(&b, "%-48s %-28s %s\n", w.name, w.version, w.licence)
	}
	var order []string
	covers := map[string][]string{}
	for _, w := range works {
		for _, text := range w.texts {
			text = tidy(text)
			if covers[text] == nil {
				order = append(order, text)
			}
			covers[text] = append(covers[text], w.name)
		}
	}
	for _, text := range order {
		b.WriteString("\n" + line + strings.Join(covers[text], "\n") + "\n" + line + "\n" + text)
	}
	return b.Bytes()
}

// tidy gives a text one kind of line end, no blanks at line ends and one line
// end at its end.
func tidy(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n") + "\n"
}
