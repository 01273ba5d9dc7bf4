package rfb

// The SecurityResults (RFC 6143 section 7.1.3).
const (
	resultOK      = 0
	resultFailed  = 1
	resultTooMany = 2 // TightVNC's: too many attempts
)

// hasResult reports whether a SecurityResult follows the type. None has one since 3.8. With
// VeNCrypt there always is one, as TigerVNC and QEMU have it.
func hasResult(version Version, t Type) bool { return t != None || version >= V38 }

// readResult hears whether the VM is satisfied.
func (v *vm) readResult(t Type) error {
	if !hasResult(v.report.Version, t) {
		return nil
	}
	v.step = "security result"
	result, err := v.readU32()
	if err != nil {
		return err
	}
	switch result {
	case resultOK:
		return nil
	case resultFailed:
		return v.fail(AuthFailed, "it rejects %s: %s", t, v.failedWhy())
	case resultTooMany:
		return v.fail(AuthFailed, "it rejects %s after too many attempts: %s", t, v.failedWhy())
	}
	return v.fail(Protocol, "a security result of %d", result)
}

// failedWhy reads the reason, which came with 3.8.
func (v *vm) failedWhy() string {
	if v.report.Version < V38 {
		return "no reason given"
	}
	return v.readReason()
}
