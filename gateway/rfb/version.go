package rfb

import "fmt"

// Version is the minor version of RFB 3 that both sides speak. The zero value stands for
// none agreed yet.
type Version uint8

// The published versions (RFC 6143 section 7.1.1).
const (
	V33 Version = 3
	V37 Version = 7
	V38 Version = 8
)

// String is the version as people write it: "3.8".
func (v Version) String() string {
	if v == 0 {
		return "unknown"
	}
	return fmt.Sprintf("3.%d", uint8(v))
}

const versionLength = len("RFB 003.008\n")

// message is what each side sends to say the version.
func (v Version) message() []byte { return fmt.Appendf(nil, "RFB 003.%03d\n", uint8(v)) }

// parseVersion reads "RFB 003.008\n".
func parseVersion(b [versionLength]byte) (major, minor int, ok bool) {
	if string(b[:4]) != "RFB " || b[7] != '.' || b[11] != '\n' {
		return 0, 0, false
	}
	for i := range 3 {
		x, y := b[4+i]-'0', b[8+i]-'0'
		if x > 9 || y > 9 {
			return 0, 0, false
		}
		major, minor = major*10+int(x), minor*10+int(y)
	}
	return major, minor, true
}

// publishedVersion is the published version a minor number of RFB 3 counts as: 3.4, 3.5 and
// 3.6 have the handshake of 3.3 (RFC 6143 section 7.1.1); what is beyond 3.8, such as
// Apple's 3.889, has that of 3.8.
func publishedVersion(minor int) Version {
	switch {
	case minor < 7:
		return V33
	case minor == 7:
		return V37
	default:
		return V38
	}
}

// serverVersion is what to speak with a server of that version. The later ones of other
// makers (4.0, 5.0) speak 3.8 with a client that asks for it; 2.x is before RFB was
// published, and 0.0 the greeting of a repeater.
func serverVersion(major, minor int) (Version, bool) {
	switch {
	case major < 3:
		return 0, false
	case major == 3:
		return publishedVersion(minor), true
	default:
		return V38, true
	}
}

// clientVersion is what to speak with a client that was greeted with 3.8. No other major
// version may answer that.
func clientVersion(major, minor int) (Version, bool) {
	if major != 3 {
		return 0, false
	}
	return publishedVersion(minor), true
}
