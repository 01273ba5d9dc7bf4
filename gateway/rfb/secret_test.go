package rfb

import (
	"fmt"
	"strings"
	"testing"
)

func TestSecretsDoNotShow(t *testing.T) {
	const hidden = "hush-hush"
	cfg := Config{User: "alice", Password: hidden}
	terms := Terms{Password: hidden}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, thing := range []any{cfg, terms, Secret(hidden), cfg.Password, &cfg} {
			if text := fmt.Sprintf(verb, thing); strings.Contains(text, hidden) || strings.Contains(text, fmt.Sprintf("%x", hidden)) {
				t.Errorf("%s shows it: %s", verb, text)
			}
		}
	}
	if got, err := cfg.Password.MarshalText(); string(got) != "redacted" || err != nil {
		t.Errorf("marshalled: got %q, %v, want redacted", got, err)
	}
	if got := cfg.Password.String() + cfg.Password.Reveal(); got != "redacted"+hidden {
		t.Errorf("String and Reveal: got %q", got)
	}
}
