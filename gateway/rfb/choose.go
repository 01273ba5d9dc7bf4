package rfb

import "slices"

// means are what there is to satisfy a VM with, and what may not be done for it.
type means struct {
	user, password bool
	encrypted      bool // nothing else will do
	unencrypted    bool // VeNCrypt is out of the question
}

// satisfies reports whether a type asks for no more than there is.
func (m means) satisfies(t Type) bool {
	switch t {
	case X509Plain:
		return m.user && m.password
	case X509Vnc, VncAuth:
		return m.password
	case X509None, None, veNCrypt:
		return true
	}
	return false
}

// permits reports whether a type may be used.
func (m means) permits(t Type) bool {
	if t == veNCrypt || t.Encrypted() {
		return !m.unencrypted
	}
	return !m.encrypted
}

func (m means) first(offered []Type, strongestFirst ...Type) (Type, bool) {
	for _, t := range strongestFirst {
		if slices.Contains(offered, t) && m.satisfies(t) && m.permits(t) {
			return t, true
		}
	}
	return invalid, false
}

// choose takes one of the types that a VM offers. What is behind VeNCrypt is not known yet.
func choose(offered []Type, m means) (Type, *Error) {
	if t, ok := m.first(offered, veNCrypt, VncAuth, None); ok {
		return t, nil
	}
	return invalid, failure(VM, NoCommonType, "it offers %s: %s", list(offered), m.lack(offered))
}

// chooseSub takes one of the sub-types of VeNCrypt.
func chooseSub(offered []Type, m means) (Type, *Error) {
	if t, ok := m.first(offered, X509Plain, X509Vnc, X509None); ok {
		return t, nil
	}
	return invalid, failure(VM, NoCommonType, "it offers VeNCrypt with %s: %s", list(offered), m.lack(offered))
}

// lack explains why none of the types will do.
func (m means) lack(offered []Type) string {
	switch {
	case slices.ContainsFunc(offered, func(t Type) bool { return t.spoken() && m.permits(t) && !m.satisfies(t) }):
		return m.missing()
	case slices.ContainsFunc(offered, Type.anonymous):
		return "TLS without a certificate needs anonymous Diffie-Hellman, which crypto/tls does not have; " +
			"give the VM a certificate (QEMU: tls-creds-x509 in place of tls-creds-anon; TigerVNC: SecurityTypes X509Vnc with X509Cert and X509Key)"
	case slices.Contains(offered, plain):
		return "Plain sends user and password unprotected, which is not done; give the VM a certificate (TigerVNC: SecurityTypes X509Plain with X509Cert and X509Key)"
	case m.encrypted && slices.ContainsFunc(offered, Type.spoken):
		return "vm_tls is given, so that only VeNCrypt with a certificate will do"
	}
	return "spoken here are None, VncAuth, and VeNCrypt with X509None, X509Vnc and X509Plain"
}

// missing names what the VM would have to be told and nobody gave.
func (m means) missing() string {
	if m.password {
		return "it wants a user as well, and none is given"
	}
	return "it wants a password, and none is given"
}
