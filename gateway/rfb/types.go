package rfb

import (
	"fmt"
	"strings"
)

// Type is a security type: one of RFB's own (RFC 6143 section 7.1.2), or from 256 on a
// sub-type of VeNCrypt. The two lists were numbered so that they do not overlap.
type Type uint32

// The types that are spoken here.
const (
	None      Type = 1   // nobody is asked
	VncAuth   Type = 2   // a password of up to 8 bytes, by challenge; the rest in the clear
	X509None  Type = 260 // TLS with a certificate, then None
	X509Vnc   Type = 261 // TLS with a certificate, then VncAuth
	X509Plain Type = 262 // TLS with a certificate, then user and password
)

// Those that only need a name here.
const (
	invalid  Type = 0
	tight    Type = 16
	plainTLS Type = 18 // Vino's; anonymous as well
	veNCrypt Type = 19
	plain    Type = 256
	tlsNone  Type = 257
	tlsVnc   Type = 258
	tlsPlain Type = 259
)

var typeNames = map[Type]string{
	invalid: "Invalid", None: "None", VncAuth: "VncAuth", 5: "RA2", 6: "RA2ne", tight: "Tight",
	17: "Ultra", plainTLS: "TLS", veNCrypt: "VeNCrypt", 20: "SASL", 21: "MD5", 30: "Apple DH",
	129: "RA256", 130: "RAne256", plain: "Plain",
	tlsNone: "TLSNone", tlsVnc: "TLSVnc", tlsPlain: "TLSPlain",
	X509None: "X509None", X509Vnc: "X509Vnc", X509Plain: "X509Plain",
	263: "TLSSASL", 264: "X509SASL",
}

// String is the type's usual name, or its number.
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Encrypted reports whether the type is one of those that are spoken here in TLS.
func (t Type) Encrypted() bool { return t == X509None || t == X509Vnc || t == X509Plain }

// spoken reports whether the type is one a client can be offered.
func (t Type) spoken() bool { return t == None || t == VncAuth || t.Encrypted() }

// anonymous reports whether the type needs TLS without certificates.
func (t Type) anonymous() bool { return t == plainTLS || t >= tlsNone && t <= tlsPlain }

// maxNamed is how many types an error names.
const maxNamed = 12

// list names the types of an offer.
func list(types []Type) string {
	if len(types) == 0 {
		return "nothing"
	}
	var names []string
	for _, t := range types[:min(len(types), maxNamed)] {
		names = append(names, t.String())
	}
	if more := len(types) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
