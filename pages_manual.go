package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// manual is the page of manual section 8, in the macros of man(7).
func manual(root *kong.Node) string {
	var b strings.Builder
	b.WriteString(`.\" made by "make generate" of the command line
.TH VDI\-GATEWAY 8
.SH NAME
vdi\-gateway \- remote\-desktop gateway
.SH SYNOPSIS
.B vdi\-gateway
.I COMMAND
.RI [ ARGUMENTS ]
.SH DESCRIPTION
`)
	b.WriteString(paragraphs(root.Help))
	b.WriteString(".SH COMMANDS\n")
	commands(&b, root)
	b.WriteString(".SH ENVIRONMENT\n")
	for _, line := range environment(root) {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(line.name), roff("As "+line.flag+" says."))
	}
	b.WriteString(`.SH FILES
.TP
.I /opt/vdi\-gateway/app/settings.db
The settings database, where nothing else is said. The package makes the folder a link to
.IR /var/lib/vdi\-gateway .
.TP
.I /etc/vdi\-gateway/tls.crt\fR, \fPtls.key
The certificate of the node and its key, where the settings name no others.
.SH SIGNALS
.TP
.B SIGTERM, SIGINT
The virtual address goes to another node, sessions end, the node ends within five seconds.
.SH EXIT STATUS
0 when all went well, 1 when the command failed (standard error says why), 80 when the
command line is wrong.
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1)
`)
	return b.String()
}

// commands writes a section per command that does something.
func commands(b *strings.Builder, n *kong.Node) {
	for _, c := range shown(n) {
		if len(c.Children) > 0 {
			commands(b, c)
			continue
		}
		fmt.Fprintf(b, ".SS \"%s\"\n%s\n", roff(c.Summary()), roff(c.Help))
		for _, p := range c.Positional {
			fmt.Fprintf(b, ".TP\n.I %s\n%s\n", roff(p.Name), roff(p.Help))
		}
		for _, f := range flagsOf(c) {
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(flagText(f)), roff(f.Help))
		}
	}
}

func flagText(f *kong.Flag) string {
	if f.IsBool() {
		return "--" + f.Name
	}
	return "--" + f.Name + "=" + f.FormatPlaceHolder()
}

// variable is one of the environment and the flag that it stands for.
type variable struct{ name, flag string }

// environment are the variables of all commands, in order.
func environment(root *kong.Node) (list []variable) {
	for _, c := range root.Leaves(true) {
		for _, f := range flagsOf(c) {
			for _, name := range f.Envs {
				if v := (variable{name, "--" + f.Name}); !slices.Contains(list, v) {
					list = append(list, v)
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b variable) int { return strings.Compare(a.name, b.name) })
	return list
}

// paragraphs are those of a text whose paragraphs have an empty line between them.
func paragraphs(text string) string {
	var b strings.Builder
	for i, p := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(roff(strings.Join(strings.Fields(p), " ")) + "\n")
	}
	return b.String()
}

// roff writes text so that it says the same in a manual page: what begins with a dot or a
// quote would be a macro, and a plain hyphen could not be copied to a shell.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "'", `\(aq`, "\n", " ").Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
