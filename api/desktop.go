package api

import "vdi-gateway/gateway"

const (
	// maxPassword bounds what a VM is told, in bytes (VeNCrypt's Plain).
	maxPassword = 1024
	// maxCA bounds the authority that a VM's certificate comes from, in bytes of PEM: every
	// node remembers it for as long as the session lives.
	maxCA = 16 << 10
)

// vmTLSBody says how to know the VM's certificate.
type vmTLSBody struct {
	CAPEM      *string `json:"ca_pem" example:"-----BEGIN CERTIFICATE-----"` // who signs; default: the system's authorities
	ServerName *string `json:"server_name" example:"desktop-17.example.com"` // in the certificate; default: vm_address
	SHA256     *string `json:"sha256" example:""`                            // of the certificate in DER, in hex
} // @name VMTLS

// desktop is how a ticket has the VM entered.
func (b *ticketBody) desktop(f *fields) gateway.Desktop {
	return gateway.Desktop{
		User: f.credential("vm_user", b.VMUser), Password: gateway.Secret(f.credential("vm_password", b.VMPassword)),
		Trust: f.trust(b.VMTLS), ViewOnly: value(b.ViewOnly), Shared: value(b.Shared),
	}
}

// entering tells which of the fields makes the gateway go through the VM's security
// itself; "": none.
func entering(d gateway.Desktop) string {
	switch {
	case d.Password != "":
		return "vm_password"
	case d.User != "":
		return "vm_user"
	case d.Trust != nil:
		return "vm_tls"
	case d.ViewOnly:
		return "view_only"
	}
	return ""
}

// vnc refuses what the gateway can do for VNC alone when something else is spoken.
func (f *fields) vnc(protocol gateway.Protocol, d gateway.Desktop) {
	if field := entering(d); field != "" && protocol != "" && protocol != "tcp" && protocol != "vnc" {
		f.add(field, "is for protocol vnc, not %s: the gateway has to speak with the VM itself", protocol)
	}
}

// credential checks what a VM is told. Unlike names it may have any character.
func (f *fields) credential(field string, s *string) string {
	switch {
	case s == nil:
		return ""
	case *s == "":
		f.add(field, "must not be empty; leave it out where the VM asks for none")
	case len(*s) > maxPassword:
		f.add(field, "must have %d bytes at most", maxPassword)
	}
	return *s
}

// trust checks how a VM's certificate is known.
func (f *fields) trust(b *vmTLSBody) *gateway.Trust {
	if b == nil {
		return nil
	}
	t := &gateway.Trust{CA: value(b.CAPEM), ServerName: f.host("vm_tls.server_name", b.ServerName), SHA256: value(b.SHA256)}
	if len(t.CA) > maxCA {
		f.add("vm_tls.ca_pem", "must have %d bytes at most; the one certificate that signs the VM's is enough", maxCA)
		return t
	}
	for _, part := range []struct {
		field string
		trust gateway.Trust
	}{{"vm_tls.ca_pem", gateway.Trust{CA: t.CA}}, {"vm_tls.sha256", gateway.Trust{SHA256: t.SHA256}}} {
		if wrong := gateway.WrongTrust(part.trust); wrong != "" {
			f.add(part.field, "%s", wrong)
		}
	}
	return t
}
