package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// bashCompletion completes commands and flags, and files behind flags that want one. The
// zsh one is the same by other words.
func bashCompletion(root *kong.Node) string {
	return `# made by "make generate" of the command line
_vdi_gateway() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word i
	if [ "$prev" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
	if [ "$cur" = = ]; then prev=${COMP_WORDS[COMP_CWORD-1]} cur=; fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case "$command $word" in
` + bashPaths(root) + `		esac
	done
	case "$command $prev" in
` + bashValues(root) + `	esac
	case "$command" in
` + bashWords(root) + `	esac
}
complete -F _vdi_gateway vdi-gateway
`
}

// walk calls f for every command, the program itself first.
func walk(n *kong.Node, f func(*kong.Node)) {
	f(n)
	for _, c := range shown(n) {
		walk(c, f)
	}
}

// pathOf is a command as the completion keeps it: " settings get".
func pathOf(n *kong.Node) string {
	if n.Parent == nil {
		return ""
	}
	return pathOf(n.Parent) + " " + n.Name
}

func bashPaths(root *kong.Node) string {
	var list []string
	walk(root, func(n *kong.Node) {
		if n != root {
			list = append(list, fmt.Sprintf("%q", pathOf(n)))
		}
	})
	return "\t\t" + strings.Join(list, " | ") + ") command=\"$command $word\" ;;\n"
}

func bashValues(root *kong.Node) string {
	var b strings.Builder
	walk(root, func(n *kong.Node) {
		for _, f := range flagsOf(n) {
			if !f.IsBool() {
				fmt.Fprintf(&b, "\t%q) %s return ;;\n", pathOf(n)+" --"+f.Name, bashValue(f))
			}
		}
	})
	return b.String()
}

func bashValue(f *kong.Flag) string {
	switch {
	case f.Enum != "":
		return `COMPREPLY=($(compgen -W "` + choices(f) + `" -- "$cur"));`
	case isFile(f):
		return `compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"));`
	}
	return "COMPREPLY=();"
}

// choices are what a flag takes, with a blank between them.
func choices(f *kong.Flag) string { return strings.TrimSpace(strings.ReplaceAll(f.Enum, ",", " ")) }

func isFile(f *kong.Flag) bool { return f.PlaceHolder == "FILE" }

func bashWords(root *kong.Node) string {
	var b strings.Builder
	walk(root, func(n *kong.Node) {
		words := []string{"--help"}
		for _, c := range shown(n) {
			words = append(words, c.Name)
		}
		for _, f := range flagsOf(n) {
			words = append(words, "--"+f.Name)
		}
		files := ""
		if takesFile(n) {
			files = ` compopt -o filenames; COMPREPLY+=($(compgen -f -- "$cur"));`
		}
		fmt.Fprintf(&b, "\t%q) COMPREPLY=($(compgen -W %q -- \"$cur\"));%s ;;\n", pathOf(n), strings.Join(words, " "), files)
	})
	return b.String()
}

// takesFile tells whether an argument of the command is a file.
func takesFile(n *kong.Node) bool {
	for _, p := range n.Positional {
		if p.Name == "file" {
			return true
		}
	}
	return false
}

func zshCompletion(root *kong.Node) string {
	var b strings.Builder
	b.WriteString("#compdef vdi-gateway\n# made by \"make generate\" of the command line\n")
	walk(root, func(n *kong.Node) {
		fmt.Fprintf(&b, "\n%s() {\n", zshName(n))
		if len(n.Children) > 0 {
			zshCommands(&b, n)
		} else {
			zshArguments(&b, n)
		}
		b.WriteString("}\n")
	})
	b.WriteString("\n_vdi-gateway \"$@\"\n")
	return b.String()
}

func zshName(n *kong.Node) string {
	return "_vdi-gateway" + strings.ReplaceAll(pathOf(n), " ", "_")
}

func zshCommands(b *strings.Builder, n *kong.Node) {
	b.WriteString("\tlocal -a commands=(\n")
	for _, c := range shown(n) {
		fmt.Fprintf(b, "\t\t%s\n", zshQuoted(c.Name+":"+zshShort(c.Help)))
	}
	b.WriteString("\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tshift words\n\t(( CURRENT-- ))\n\tcase $words[1] in\n")
	for _, c := range shown(n) {
		fmt.Fprintf(b, "\t%s) %s ;;\n", c.Name, zshName(c))
	}
	b.WriteString("\tesac\n")
}

func zshArguments(b *strings.Builder, n *kong.Node) {
	b.WriteString("\t_arguments")
	for _, f := range flagsOf(n) {
		fmt.Fprintf(b, " \\\n\t\t%s", zshQuoted(zshFlag(f)))
	}
	if takesFile(n) {
		fmt.Fprintf(b, " \\\n\t\t%s", zshQuoted("*:file:_files"))
	}
	b.WriteString(" \\\n\t\t'--help[show help]'\n")
}

func zshFlag(f *kong.Flag) string {
	help := "[" + strings.NewReplacer("[", "(", "]", ")", ":", " -").Replace(f.Help) + "]"
	switch {
	case f.IsBool():
		return "--" + f.Name + help
	case f.Enum != "":
		return "--" + f.Name + "=" + help + ":value:(" + choices(f) + ")"
	case isFile(f):
		return "--" + f.Name + "=" + help + ":file:_files"
	}
	return "--" + f.Name + "=" + help + ":value: "
}

// zshShort is the beginning of a help text, for a list.
func zshShort(help string) string {
	short, _, _ := strings.Cut(help, ";")
	return strings.TrimSuffix(strings.ReplaceAll(short, ":", " -"), ".")
}

func zshQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
