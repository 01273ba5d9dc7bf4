package settingsdb

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string // "": none
	}{
		{"http://desk.example.org", "http://desk.example.org"},
		{"http://desk.example.org:80", "http://desk.example.org"},
		{"https://desk.example.org:443", "https://desk.example.org"},
		{"https://desk.example.org:80", "https://desk.example.org:80"},
		{"https://desk.example.org:08443", "https://desk.example.org:8443"},
		{"HTTPS://DESK.Example.org", "https://desk.example.org"},
		{"https://bücher.example", "https://xn--bcher-kva.example"},
		{"https://BÜCHER.example:443", "https://xn--bcher-kva.example"},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"http://10.0.0.1:8000", "http://10.0.0.1:8000"},
		{"http://[2001:DB8:0::1]:6080", "http://[2001:db8::1]:6080"},
		{"https://[2001:db8::1]:443", "https://[2001:db8::1]"},
		{"http://[::ffff:10.0.0.1]:8000", "http://10.0.0.1:8000"},
		{"", ""},
		{"null", ""},
		{"*", ""},
		{"::::", ""},
		{"http://", ""},
		{"://a", ""},
		{"http:/a", ""},
		{"http:a", ""},
		{"ws://a.example", ""},
		{"http://a.example/", ""},
		{"http://a.example:80/", ""},
		{"http://a.example?", ""},
		{"http://a.example#", ""},
		{`http://a.example\@b`, ""},
		{"http://u@a.example", ""},
		{"http://a.example:80@b.example", ""},
		{"http://a.example:", ""},
		{"http://a.example:0", ""},
		{"http://a.example:65536", ""},
		{"http://a.example:+80", ""},
		{"http://a.example:http", ""},
		{"http://a..example", ""},
		{"http://a.example.", ""},
		{"http://a b", ""},
		{"http://a.example ", ""},
		{" http://a.example", ""},
		{"http://-a.example", ""},
		{"http://1.2.3", ""},
		{"http://010.0.0.1", ""},
		{"http://2001:db8::1", ""},
		{"http://[2001:db8::1", ""},
		{"http://2001:db8::1]", ""},
		{"http://[fe80::1%25eth0]", ""},
		{"http://[fe80::1%eth0]", ""},
		{"http://[10.0.0.1]", ""},
		{"http://[a.example]", ""},
		{"http://[]:80", ""},
		{"http://[", ""},
		{"http://a.example,http://b.example", ""},
		{"http://a.example http://b.example", ""},
	} {
		o, err := ParseOrigin(tt.text)
		if (err == nil) != (tt.want != "") || err == nil && o.String() != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.text, o, err, tt.want)
		}
	}
}

// What was read is read again as the same, and spelling makes no difference.
func TestOriginsAreReadAgain(t *testing.T) {
	host := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9.-]{1,12}`), rapid.StringMatching(`\[[0-9a-fA-F:.]{2,20}\]`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"http", "https", "HTTP", "ws"}).Draw(t, "scheme") + "://" + host.Draw(t, "host") +
			rapid.SampledFrom([]string{"", ":", ":80", ":443", ":8000", ":0", ":70000"}).Draw(t, "port")
		o, err := ParseOrigin(text)
		if err != nil {
			return
		}
		if again, err := ParseOrigin(o.String()); err != nil || again != o {
			t.Fatalf("%q: got %v and then %v, %v, want the same", text, o, again, err)
		}
		if again, err := ParseOrigin(strings.ToUpper(o.String())); err != nil || again != o {
			t.Fatalf("%q in capitals: got %v, %v, want %v", text, again, err, o)
		}
	})
}
