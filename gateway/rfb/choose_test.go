package rfb

import (
	"slices"
	"testing"
)

func TestChoose(t *testing.T) {
	nothing, password, both := means{}, means{password: true}, means{user: true, password: true}
	must := means{user: true, password: true, encrypted: true}
	plainly := means{user: true, password: true, unencrypted: true}
	for _, tc := range []struct {
		name    string
		offered []Type
		means   means
		want    Type
		text    string // of the error
	}{
		{"None", []Type{None}, nothing, None, ""},
		{"None, with a password", []Type{None}, both, None, ""},
		{"VncAuth before None", []Type{None, VncAuth}, password, VncAuth, ""},
		{"None without a password", []Type{VncAuth, None}, nothing, None, ""},
		{"VeNCrypt before all", []Type{None, VncAuth, veNCrypt}, nothing, veNCrypt, ""},
		{"VeNCrypt is a must", []Type{None, VncAuth, veNCrypt}, must, veNCrypt, ""},
		{"VeNCrypt is out of the question", []Type{veNCrypt, VncAuth, None}, plainly, VncAuth, ""},
		{"among others", []Type{tight, 17, VncAuth, 99}, password, VncAuth, ""},
		{"twice", []Type{VncAuth, VncAuth}, password, VncAuth, ""},
		{"no password", []Type{VncAuth}, nothing, invalid, "it offers VncAuth: it wants a password, and none is given"},
		{"no TLS", []Type{VncAuth, None}, must, invalid, "it offers VncAuth, None: vm_tls is given"},
		{"no TLS, no password", []Type{VncAuth}, means{encrypted: true}, invalid, "vm_tls is given"},
		{"Vino", []Type{plainTLS}, both, invalid, "anonymous Diffie-Hellman"},
		{"Vino, and None where TLS is a must", []Type{plainTLS, None}, must, invalid, "anonymous Diffie-Hellman"},
		{"others", []Type{tight, 30}, both, invalid, "it offers Tight, Apple DH: spoken here are"},
		{"none", nil, both, invalid, "it offers nothing"},
		{"sub-types as types", []Type{X509None}, both, invalid, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := choose(tc.offered, tc.means)
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if tc.want == invalid {
				wantError(t, err, VM, NoCommonType, tc.text)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChooseSub(t *testing.T) {
	all := []Type{plain, tlsNone, tlsVnc, tlsPlain, X509None, X509Vnc, X509Plain}
	nothing, password, both := means{}, means{password: true}, means{user: true, password: true}
	for _, tc := range []struct {
		name    string
		offered []Type
		means   means
		want    Type
		text    string // of the error
	}{
		{"the strongest", all, both, X509Plain, ""},
		{"without a user", all, password, X509Vnc, ""},
		{"with nothing", all, nothing, X509None, ""},
		{"a user without a password", all, means{user: true}, X509None, ""},
		{"what there is", []Type{X509None}, both, X509None, ""},
		{"a password only", []Type{X509Vnc, X509None}, both, X509Vnc, ""},
		{"no password", []Type{X509Vnc, X509Plain}, nothing, invalid, "it wants a password, and none is given"},
		{"no user", []Type{X509Plain}, password, invalid, "it wants a user as well"},
		{"anonymous", []Type{tlsNone, tlsVnc, tlsPlain}, both, invalid, "crypto/tls does not have"},
		{"anonymous, or Plain", []Type{plain, tlsPlain}, both, invalid, "crypto/tls does not have"},
		{"Plain", []Type{plain}, both, invalid, "unprotected"},
		{"SASL", []Type{263, 264}, both, invalid, "with TLSSASL, X509SASL: spoken here are"},
		{"unencrypted ones", []Type{None, VncAuth}, both, invalid, ""},
		{"none", nil, both, invalid, "it offers VeNCrypt with nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := chooseSub(tc.offered, tc.means)
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if tc.want == invalid {
				wantError(t, err, VM, NoCommonType, tc.text)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestChoiceIsSound goes through every offer of the types there are, for all means.
func TestChoiceIsSound(t *testing.T) {
	types := []Type{None, VncAuth, tight, veNCrypt, plain, tlsVnc, X509None, X509Vnc, X509Plain}
	for bits := range 1 << 4 {
		m := means{user: bits&1 != 0, password: bits&2 != 0, encrypted: bits&4 != 0, unencrypted: bits&8 != 0}
		for set := range 1 << len(types) {
			var offered []Type
			for i, one := range types {
				if set&(1<<i) != 0 {
					offered = append(offered, one)
				}
			}
			for _, pick := range []func([]Type, means) (Type, *Error){choose, chooseSub} {
				got, err := pick(offered, m)
				if (err == nil) != (got != invalid) {
					t.Fatalf("%v of %v: got %s and %v", m, offered, got, err)
				}
				if err != nil {
					continue
				}
				tls := got == veNCrypt || got.Encrypted()
				needy := got == VncAuth || got == X509Vnc || got == X509Plain
				if !slices.Contains(offered, got) || needy && !m.password || got == X509Plain && !m.user ||
					m.encrypted && !tls || m.unencrypted && tls {
					t.Fatalf("%+v of %v: got %s", m, offered, got)
				}
			}
		}
	}
}
