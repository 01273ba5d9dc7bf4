#!/bin/sh
# Turns CHANGELOG.md into Debian's form. Usage: changelog.sh VERSION EPOCH <CHANGELOG.md
# The newest part gets VERSION and the time EPOCH, older ones their own.
set -eu
awk -v version="$1" -v date="$(LC_ALL=C date -u -R -d "@$2")" '
	function close_entry(  words, n, i, line) {
		n = split(entry, words, " ")
		line = "  *"
		for (i = words[1] == "-" ? 2 : 1; i <= n; i++) {
			if (length(line " " words[i]) > 78) {
				print line
				line = "   "
			}
			line = line " " words[i]
		}
		if (n) print line
		entry = ""
	}
	function close_part() {
		close_entry()
		if (open) printf "\n -- The vdi-gateway authors <vdi-gateway@packages.invalid>  %s\n", date
		open = 0
	}
	/^## / {
		close_part()
		if (parts++) {
			print ""
			version = $2
			if (match($0, /\([0-9-]+\)/)) {
				"LC_ALL=C date -u -R -d " substr($0, RSTART + 1, RLENGTH - 2) | getline date
			}
		}
		printf "vdi-gateway (%s) unstable; urgency=medium\n\n", version
		open = 1
		next
	}
	!open || /^#/ || /^[ \t]*$/ { next }
	{
		gsub(/\]\([^)]*\)/, "]")
		gsub(/[`\[\]]/, "")
	}
	/^- / { close_entry() }
	{ entry = entry $0 " " }
	END { close_part() }
'
