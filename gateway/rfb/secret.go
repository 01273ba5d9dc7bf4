package rfb

import (
	"fmt"
	"io"
)

// Secret is a password. Whoever prints or marshals it gets "redacted".
type Secret string

const redacted = "redacted"

// Reveal returns the password itself, for the one comparison or message that needs it.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// Format implements fmt.Formatter: no verb shows the password, %x and %#v included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON and slog ask.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
