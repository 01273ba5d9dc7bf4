package main

import "strings"

// phrases tell a licence by words that only its text has, the most telling
// first.
var phrases = []struct {
	name  string
	words []string
}{
	{"Apache-2.0", []string{"apache license version 2.0"}},
	{"MPL-2.0", []string{"mozilla public license", "version 2.0"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "neither the name"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms"}},
	{"ISC", []string{"permission to use, copy, modify, and", "distribute this software for any purpose"}},
	{"MIT", []string{"permission is hereby granted, free of charge", "without restriction"}},
	{"CC0-1.0", []string{"creative commons legal code", "cc0 1.0 universal"}},
}

// licenceName is the SPDX name of the licences in texts, joined by " AND "; ""
// if none is known.
func licenceName(texts []string) string {
	whole := flatten(strings.Join(texts, " "))
	var names []string
	for _, p := range phrases {
		if len(names) > 0 && p.name == "BSD-2-Clause" && strings.HasPrefix(names[len(names)-1], "BSD") {
			continue // the same words begin both
		}
		if containsAll(whole, p.words) {
			names = append(names, p.name)
		}
	}
	return strings.Join(names, " AND ")
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// flatten makes line breaks, case, quotation and commas of headings unimportant.
func flatten(text string) string {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	return strings.ReplaceAll(text, "apache license, version", "apache license version")
}
