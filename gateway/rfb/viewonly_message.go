package rfb

import "encoding/binary"

// What a client sends: RFC 6143 section 7.5, and the extensions of the community's
// description (rfbproto).
const (
	setPixelFormat    = 0
	setEncodings      = 2
	updateRequest     = 3
	keyEvent          = 4
	pointerEvent      = 5
	clientCutText     = 6
	continuousUpdates = 150
	clientFence       = 248
	xvp               = 250 // shutdown, reboot, reset
	setDesktopSize    = 251
	gii               = 253 // other input devices
	qemu              = 255

	qemuKey   = 0 // sub-types of qemu
	qemuAudio = 1

	qemuAudioFormat = 2 // the operation that says more; 0 and 1 are on and off
)

const (
	encodingLength = 4
	screenLength   = 16 // of SetDesktopSize

	maxFence = 64 // as the description of the extension has it

	// maxEncodings is how many a SetEncodings may name. Viewers name some tens.
	maxEncodings = 1024

	// extendedMouseButtons is the pseudo-encoding with which a client says that its
	// PointerEvents may have the highest bit of the mask set, and one byte more then.
	extendedMouseButtons int32 = -316
	extendedMask         byte  = 0x80
)

// longestHead is that of a fence.
const longestHead = 9

// headLengths says how many bytes of a message tell its length and its fate. What is not
// here has one: its type.
var headLengths = [256]uint8{
	setEncodings: 4, pointerEvent: 2, clientCutText: 8, clientFence: 9, setDesktopSize: 8, gii: 4, qemu: 2,
}

// headLength is how long the head is that begins like this.
func headLength(begun []byte) int {
	if len(begun) == 0 {
		return 1
	}
	if begun[0] == qemu && len(begun) > 1 && begun[1] == qemuAudio {
		return 4
	}
	return max(1, int(headLengths[begun[0]]))
}

// fate says of a message, by its head, whether it is dropped and how many bytes follow.
// With extended, PointerEvents come in two lengths.
func fate(head []byte, extended bool) (drop bool, rest int64, err error) {
	switch head[0] {
	case setPixelFormat:
		return false, 19, nil
	case setEncodings:
		return fateOfEncodings(head)
	case updateRequest, continuousUpdates:
		return false, 9, nil
	case clientFence:
		return fateOfFence(head)
	case keyEvent:
		return true, 7, nil
	case pointerEvent:
		if extended && head[1]&extendedMask != 0 {
			return true, 5, nil
		}
		return true, 4, nil
	case clientCutText:
		return true, cutTextLength(head), nil
	case xvp:
		return true, 3, nil
	case setDesktopSize:
		return true, screenLength * int64(head[6]), nil
	case gii:
		return true, giiLength(head), nil
	case qemu:
		return fateOfQEMU(head)
	}
	return true, 0, failure(Client, Protocol, "a message of type %d while it may only watch: how long it is cannot be known", head[0])
}

func fateOfEncodings(head []byte) (bool, int64, error) {
	count := binary.BigEndian.Uint16(head[2:])
	if count > maxEncodings {
		return true, 0, failure(Client, Protocol, "%d encodings, %d are permitted", count, maxEncodings)
	}
	return false, encodingLength * int64(count), nil
}

// fateOfFence: a longer one than permitted might be cut by the VM, and its rest be taken for
// the next message.
func fateOfFence(head []byte) (bool, int64, error) {
	size := head[8]
	if size > maxFence {
		return true, 0, failure(Client, Protocol, "a fence of %d bytes, %d are permitted", size, maxFence)
	}
	return false, int64(size), nil
}

// cutTextLength is that of a ClientCutText. A negative one marks the extended clipboard.
func cutTextLength(head []byte) int64 {
	n := int64(int32(binary.BigEndian.Uint32(head[4:])))
	return max(n, -n)
}

// giiLength is in the order of bytes that the highest bit of the sub-type names.
func giiLength(head []byte) int64 {
	if head[1]&0x80 != 0 {
		return int64(binary.BigEndian.Uint16(head[2:]))
	}
	return int64(binary.LittleEndian.Uint16(head[2:]))
}

// fateOfQEMU: its keys are keys, its sound is part of what one watches.
func fateOfQEMU(head []byte) (bool, int64, error) {
	if head[1] == qemuKey {
		return true, 10, nil
	}
	if head[1] == qemuAudio {
		switch operation := binary.BigEndian.Uint16(head[2:]); {
		case operation < qemuAudioFormat:
			return false, 0, nil
		case operation == qemuAudioFormat:
			return false, 6, nil
		}
	}
	return true, 0, failure(Client, Protocol, "an unknown message of QEMU's: % x", head)
}
