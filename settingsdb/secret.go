package settingsdb

import (
	"fmt"
	"io"
)

// Secret is a key of the document. Printed by any verb of fmt it reads
// "redacted"; JSON carries the real value, since the document is where the
// keys are kept.
type Secret string

const redacted = "redacted"

// Reveal returns the real value, for comparing and for handing it out to the
// one who may see it.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer and hides the value.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer and hides the value.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter: every verb, also %x and %q, hides the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
