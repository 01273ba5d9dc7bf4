package rfb

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

// Config is what there is to satisfy a VM with. The zero value is for a VM that asks for
// nothing, or that shows a certificate the system trusts.
type Config struct {
	User     string // of X509Plain; up to 1024 bytes
	Password Secret // VncAuth and X509Vnc look at its first 8 bytes; up to 1024 bytes
	Trust    *Trust // nil: as the zero Trust, but VMs without a certificate will do
	// Host is the VM's DNS name or address, as its certificate has it where Trust names no
	// other. "": the address the connection leads to.
	Host string
	// Unencrypted leaves VeNCrypt out. It cannot go with Trust.
	Unencrypted bool
	Limit       time.Duration // for the whole handshake; 0: DefaultLimit
}

// Report is what was agreed. After an error it holds what was agreed until then.
type Report struct {
	Version     Version
	Type        Type
	Certificate string // sha256 of the VM's certificate in hex; "": there was none
	User        string // who a client of X509Plain says to be
}

// Connect takes a connection through the security of the VM at its other end. The stream
// stands where ClientInit is said: conn itself, or where Report.Type is encrypted a
// *tls.Conn around it. On an error, which is an *Error, conn is closed.
func Connect(ctx context.Context, conn net.Conn, cfg Config) (net.Conn, Report, error) {
	v := vm{peer: peer{conn: conn, side: VM}, cfg: cfg}
	err := within(ctx, conn, cfg.Limit, VM, func(ctx context.Context) error {
		if err := v.prepare(); err != nil {
			return err
		}
		return v.handshake(ctx)
	})
	if err != nil {
		return nil, v.report, err
	}
	return v.conn, v.report, nil
}

// Dial is Connect on a connection that dial makes. When VeNCrypt leads nowhere and the VM
// offered something else that may be used, Dial tries that on a second connection: which
// types are behind VeNCrypt is told too late to choose another. (TigerVNC's default is
// VeNCrypt with TLSVnc, and VncAuth.) Each connection has the whole Limit. An error of dial
// is returned as it is.
func Dial(ctx context.Context, dial func(context.Context) (net.Conn, error), cfg Config) (net.Conn, Report, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, Report{}, err
	}
	stream, report, err := Connect(ctx, conn, cfg)
	if e := (*Error)(nil); !errors.As(err, &e) || !e.Unencrypted {
		return stream, report, err
	}
	cfg.Unencrypted = true
	if conn, err = dial(ctx); err != nil {
		return nil, report, err
	}
	return Connect(ctx, conn, cfg)
}

// vm is a handshake in which we are the client.
type vm struct {
	peer
	cfg      Config
	trust    verifier
	means    means
	report   Report
	fallback bool // something other than VeNCrypt was offered as well
}

func (v *vm) prepare() (err error) {
	c := v.cfg
	if len(c.User) > maxCredential || len(c.Password) > maxCredential {
		return misconfigured("user and password may have %d bytes each", maxCredential)
	}
	if c.Trust != nil && c.Unencrypted {
		return misconfigured("vm_tls is given, and a connection without it is asked for")
	}
	v.means = means{
		user: c.User != "", password: c.Password != "",
		encrypted: c.Trust != nil, unencrypted: c.Unencrypted,
	}
	v.trust, err = c.Trust.parse(v.host())
	return err
}

// host is what the VM's certificate has to be for.
func (v *vm) host() string {
	if v.cfg.Host != "" {
		return v.cfg.Host
	}
	if tcp, ok := v.conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return ""
}

func (v *vm) handshake(ctx context.Context) error {
	if err := v.agreeVersion(); err != nil {
		return err
	}
	t, err := v.agreeType()
	if err != nil {
		return err
	}
	if t == veNCrypt {
		if t, err = v.enterTLS(ctx); err != nil {
			return err
		}
	}
	v.report.Type = t
	if err := v.satisfy(t); err != nil {
		return err
	}
	return v.readResult(t)
}

func (v *vm) agreeVersion() error {
	major, minor, err := v.hear()
	if err != nil {
		return err
	}
	version, ok := serverVersion(major, minor)
	if !ok {
		return v.fail(Protocol, "it speaks RFB %d.%d, which nobody has published", major, minor)
	}
	v.report.Version = version
	return v.write(version.message()...)
}

// agreeType reads what the VM offers and says what is taken (RFC 6143 section 7.1.2).
func (v *vm) agreeType() (Type, error) {
	v.step = "security types"
	if v.report.Version == V33 {
		return v.beTold()
	}
	offered, err := v.readTypes()
	if err != nil {
		return invalid, err
	}
	t, unsuitable := choose(offered, v.means)
	if unsuitable != nil {
		return invalid, unsuitable
	}
	v.fallback = slices.ContainsFunc(offered, func(t Type) bool {
		return t != veNCrypt && v.means.satisfies(t) && v.means.permits(t)
	})
	return t, v.write(byte(t))
}

// beTold: a VM of version 3.3 offers one type and does not ask. The list of the others has
// bytes, and this is a number of four; one that is VeNCrypt's is nobody's.
func (v *vm) beTold() (Type, error) {
	told, err := v.readU32()
	if err != nil {
		return invalid, err
	}
	if Type(told) == invalid {
		return invalid, v.refused()
	}
	t, unsuitable := choose([]Type{Type(told)}, v.means)
	if unsuitable != nil {
		return invalid, unsuitable
	}
	return t, nil
}

func (v *vm) readTypes() ([]Type, error) {
	count, err := v.readByte()
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, v.refused()
	}
	b := make([]byte, count)
	if err := v.read(b); err != nil {
		return nil, err
	}
	types := make([]Type, count)
	for i := range b {
		types[i] = Type(b[i])
	}
	return types, nil
}

// refused is the error for a VM that offers nothing, and says why.
func (v *vm) refused() error {
	return v.fail(Refused, "it refuses: %s", v.readReason())
}

// satisfy does what the type asks for, in TLS or not.
func (v *vm) satisfy(t Type) error {
	switch t {
	case VncAuth, X509Vnc:
		return v.answerChallenge(v.cfg.Password)
	case X509Plain:
		return v.sendPlain(v.cfg.User, v.cfg.Password)
	}
	return nil
}
