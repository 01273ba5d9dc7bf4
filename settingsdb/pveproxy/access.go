package pveproxy

import (
	"fmt"
	"strings"
)

const wholeList = "nothing is imported, since an access list is taken as a whole"

// halfList refuses a file that names some of the keys of the access list while others are
// set in the document: two halves of lists make a third one that nobody wrote.
func (m *merge) halfList() error {
	var left []string
	named := false
	for _, k := range keys[:accessKeys] {
		if _, given := m.given[k.name]; given {
			named = true
		} else if m.Now[k.path] != m.Usual[k.path] {
			left = append(left, fmt.Sprintf(`%s is %s and %s is not in the file: write there what it shall be, or %[3]s="" for pveproxy's default`,
				k.path, written(m.Now[k.path]), k.name))
		}
	}
	if !named || len(left) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", wholeList, strings.Join(left, "; "))
}

// accessRefused is the error that one of these keys could not be taken.
func (m *merge) accessRefused() error {
	var wrong []string
	for _, k := range keys[:accessKeys] {
		if reason, refused := m.refused[k.name]; refused {
			wrong = append(wrong, fmt.Sprintf("line %d: %s: %s", m.given[k.name].Line, k.name, reason))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", wholeList, strings.Join(wrong, "; "))
}
