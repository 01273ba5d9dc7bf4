package ciphers

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"

	"vdi-gateway/settingsdb/spelling"
)

const (
	example   = "ECDHE-RSA-AES128-GCM-SHA256"
	example13 = "TLS_AES_128_GCM_SHA256"
)

// problem says what is wrong with an entry that is no suite of TLS 1.2.
func problem(entry string) string {
	if kind := language(entry); kind != "" {
		return fmt.Sprintf("is %s of OpenSSL's language: list the suites one by one, such as %s", kind, example)
	}
	if suites13[entry] {
		return "is a suite of TLS 1.3: it belongs into tls.ciphersuites"
	}
	for name, id := range suites {
		if tls.CipherSuiteName(id) == entry {
			return fmt.Sprintf("is IANA's name of a suite: write %s, as OpenSSL calls it", name)
		}
	}
	if known := closest(entry, suites, missing); known != "" {
		return fmt.Sprintf("is no suite of OpenSSL, did you mean %s?", known)
	}
	if strings.HasPrefix(entry, "TLS_") {
		return fmt.Sprintf("must be OpenSSL's name of a suite of TLS 1.2, such as %s, not IANA's", example)
	}
	return fmt.Sprintf("must be OpenSSL's name of a suite of TLS 1.2, such as %s", example)
}

// problem13 says what is wrong with an entry that is no suite of TLS 1.3.
func problem13(entry string) string {
	if _, has := suites[entry]; has || missing[entry] {
		return "is a suite of TLS 1.2: it belongs into tls.ciphers"
	}
	if kind := language(entry); kind != "" {
		return fmt.Sprintf("is %s of OpenSSL's language, which TLS 1.3 does not have: list the suites one by one, such as %s", kind, example13)
	}
	if known := closest(entry, suites13, nil); known != "" {
		return fmt.Sprintf("is no suite of TLS 1.3, did you mean %s?", known)
	}
	return fmt.Sprintf("must be the name of a suite of TLS 1.3, such as %s", example13)
}

// language tells what an entry is in OpenSSL's language of groups and operators, "" if
// nothing.
func language(entry string) string {
	switch {
	case strings.ContainsAny(entry[:1], "!-+@"):
		return "an operator"
	case groups[entry]:
		return "a group"
	case strings.Contains(entry, "+"):
		return "a combination of groups"
	}
	return ""
}

// maxWrong is how many letters of a name may be wrong for it to be suggested: as many as
// the length of a hash at the end.
const maxWrong = 3

// closest returns the name that entry is most likely a misspelling of, "" if there is
// none. One that Go has goes before one that it has not.
func closest[V any](entry string, first map[string]V, then map[string]bool) string {
	if len(entry) > maxShown {
		return ""
	}
	best, least := nearest(entry, first)
	if other, distance := nearest(entry, then); distance < least {
		best, least = other, distance
	}
	if least > min(maxWrong, len(entry)/4) {
		return ""
	}
	return best
}

func nearest[V any](entry string, names map[string]V) (string, int) {
	entry = strings.ToUpper(entry)
	best, least := "", len(entry)+1
	for name := range names {
		distance := spelling.Distance(entry, name)
		if strings.HasPrefix(name, entry+"-") {
			distance = 1 // cut short
		}
		if distance < least || distance == least && name < best {
			best, least = name, distance
		}
	}
	return best, least
}

// maxShown is how many bytes of a foreign text are repeated in a message.
const maxShown = 64

func quoted(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return strconv.Quote(text)
}
