package api

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vdi-gateway/settingsdb"
)

// someOrigins are those of a cluster behind a router.
func someOrigins(t interface{ Fatal(...any) }) origins {
	c := Config{
		Hosts: []string{"VDI.example.com", "10.0.0.100", "10.0.0.1", "2001:DB8:0::1", "::ffff:10.0.0.2", "bücher.example", "", "a b"},
		Ports: []uint16{8000, 8002, 443},
	}
	for _, text := range []string{"https://desk.example.org", "http://desk.example.org:8080"} {
		o, err := settingsdb.ParseOrigin(text)
		if err != nil {
			t.Fatal(err)
		}
		c.Origins = append(c.Origins, o)
	}
	return newState(c).origins
}

func TestOriginDecision(t *testing.T) {
	o := someOrigins(t)
	const plain, secure, local = 0, 1, 2
	for _, tt := range []struct {
		name    string
		given   []string
		way     int
		allowed bool
	}{
		{"no browser", nil, plain, true},
		{"the public name", []string{"http://vdi.example.com:8000"}, plain, true},
		{"the public name, the balancer's port", []string{"http://vdi.example.com:8002"}, plain, true},
		{"in capitals", []string{"HTTP://VDI.EXAMPLE.COM:8000"}, plain, true},
		{"the virtual address", []string{"http://10.0.0.100:8002"}, plain, true},
		{"another node", []string{"http://10.0.0.2:8000"}, plain, true},
		{"an address in IPv6's clothes", []string{"http://[::ffff:10.0.0.1]:8000"}, plain, true},
		{"IPv6", []string{"http://[2001:db8::1]:8000"}, plain, true},
		{"another IPv6", []string{"http://[2001:db8::2]:8000"}, plain, false},
		{"IPv6 without brackets", []string{"http://2001:db8::1:8000"}, plain, false},
		{"an international name", []string{"http://xn--bcher-kva.example:8000"}, plain, true},
		{"its letters, which no browser sends", []string{"http://bücher.example:8000"}, plain, false},
		{"the port of the scheme", []string{"https://vdi.example.com"}, secure, true},
		{"the port of the scheme, said", []string{"https://vdi.example.com:443"}, secure, true},
		{"the port of the other scheme", []string{"http://vdi.example.com:443"}, plain, true},
		{"no port where none of ours is the default", []string{"http://vdi.example.com"}, plain, false},
		{"a port that is another program's", []string{"http://vdi.example.com:8001"}, plain, false},
		{"http to https", []string{"http://vdi.example.com:8000"}, secure, false},
		{"https to http", []string{"https://vdi.example.com:8000"}, plain, false},
		{"the first that was added", []string{"https://desk.example.org"}, plain, true},
		{"the first that was added, by TLS", []string{"https://desk.example.org:443"}, secure, true},
		{"the second that was added", []string{"http://desk.example.org:8080"}, secure, true},
		{"its host with our port", []string{"http://desk.example.org:8000"}, plain, false},
		{"its other scheme", []string{"http://desk.example.org"}, plain, false},
		{"foreign", []string{"http://evil.example:8000"}, plain, false},
		{"our name before another", []string{"http://vdi.example.com:8000.evil.example"}, plain, false},
		{"our name below another", []string{"http://vdi.example.com.evil.example:8000"}, plain, false},
		{"a name below ours", []string{"http://x.vdi.example.com:8000"}, plain, false},
		{"our name as user", []string{"http://vdi.example.com:8000@evil.example"}, plain, false},
		{"our name with a dot", []string{"http://vdi.example.com.:8000"}, plain, false},
		{"a path", []string{"http://vdi.example.com:8000/"}, plain, false},
		{"blank", []string{""}, plain, false},
		{"null", []string{"null"}, plain, false},
		{"garbage", []string{"::::"}, plain, false},
		{"no scheme", []string{"vdi.example.com:8000"}, plain, false},
		{"an extension", []string{"chrome-extension://vdi.example.com:8000"}, plain, false},
		{"two", []string{"http://vdi.example.com:8000", "http://vdi.example.com:8000"}, plain, false},
		{"two in one", []string{"http://vdi.example.com:8000, http://vdi.example.com:8000"}, plain, false},
		{"ours and a blank", []string{"http://vdi.example.com:8000", ""}, plain, false},
		{"localhost from elsewhere", []string{"http://localhost:8000"}, plain, false},
		{"the loopback from elsewhere", []string{"http://127.0.0.1:8000"}, plain, false},
		{"localhost from here", []string{"http://localhost:8000"}, local, true},
		{"the loopback from here", []string{"http://127.0.0.1:8000"}, local, true},
		{"another address of the loopback", []string{"http://127.9.9.9:8000"}, local, true},
		{"IPv6's loopback from here", []string{"http://[::1]:8000"}, local, true},
		{"another program of this host", []string{"http://localhost:3000"}, local, false},
		{"localhost by TLS", []string{"https://localhost:8000"}, secure | local, true},
		{"localhost by the wrong scheme", []string{"https://localhost:8000"}, local, false},
		{"a name that is made to lead here", []string{"http://localhost.evil.example:8000"}, local, false},
		{"foreign, from here", []string{"http://evil.example:8000"}, local, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := o.allows(tt.given, tt.way&secure != 0, tt.way&local != 0); got != tt.allowed {
				t.Errorf("%q: got %t, want %t", tt.given, got, tt.allowed)
			}
		})
	}
	if (origins{}).allows([]string{"http://:0"}, false, true) || !(origins{}).allows(nil, false, false) {
		t.Error("without a configuration: want no page to be allowed, and who is no page")
	}
}

// TestOriginProperties: whatever is said in the header, a page is let in only by
// its whole origin.
func TestOriginProperties(t *testing.T) {
	o := someOrigins(t)
	hosts := []string{"vdi.example.com", "10.0.0.100", "[2001:db8::1]", "desk.example.org", "localhost", "evil.example", "null", "", "127.0.0.1"}
	rapid.Check(t, func(t *rapid.T) {
		part := func(name string, among ...string) string {
			return rapid.OneOf(rapid.SampledFrom(among), rapid.StringN(0, 4, -1)).Draw(t, name)
		}
		text := part("scheme", "http", "https", "HTTP") + part("separator", "://", "://", "://") +
			part("before", "", "", "x.", "u@") + rapid.SampledFrom(hosts).Draw(t, "host") + part("after", "", "", ".evil", "@evil") +
			part("port", "", ":80", ":443", ":8000", ":8002", ":8080", ":8001") + part("end", "", "", "/")
		secure, local := rapid.Bool().Draw(t, "secure"), rapid.Bool().Draw(t, "local")
		if !o.allows([]string{text}, secure, local) {
			return
		}
		from, err := settingsdb.ParseOrigin(text)
		if err != nil || strings.Contains(from.Host, "evil") || strings.HasPrefix(from.Host, "x.") {
			t.Fatalf("%q was let in", text)
		}
		if want := map[bool]string{false: "http", true: "https"}[secure]; from.Scheme != want && from.Host != "desk.example.org" {
			t.Fatalf("%q was let in by %s", text, want)
		}
		if again := from.String(); !o.allows([]string{again}, secure, local) || !o.allows([]string{strings.ToUpper(again)}, secure, local) {
			t.Fatalf("%q was let in, %q was not", text, again)
		}
		if !o.allows([]string{text}, secure, true) {
			t.Fatalf("%q was let in, from this very host it was not", text)
		}
		if o.allows([]string{text, text}, secure, local) {
			t.Fatalf("%q was let in twice", text)
		}
	})
}
