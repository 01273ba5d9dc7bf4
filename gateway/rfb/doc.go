// Package rfb speaks the beginning of RFB (VNC, RFC 6143) in both roles, so that the
// gateway can stand between a client and a VM whose password the client never learns.
//
// Towards the VM it is the client: Connect takes a connection through the VM's security,
// SecurityResult included, with the user, password and Trust of a ticket.
//
//	vm, report, err := rfb.Dial(ctx, dialVM, rfb.Config{Password: "...", Trust: trust})
//
// Towards the client it is the server: Accept offers exactly one security type, so that
// nobody can choose a weaker one (CVE-2022-36436).
//
//	client, report, err := rfb.Accept(ctx, conn, rfb.Terms{Type: rfb.VncAuth, Password: once})
//
// Both sides then stand where the client says ClientInit, and the streams can be relayed
// byte for byte. Versions 3.3, 3.7 and 3.8 are agreed on each side for itself. When the VM
// cannot be had, Refuse tells the client in its own version. Greet and Admit are Accept in
// two steps, for who wants to hear the client while the VM is dialled.
//
// Types: None, VncAuth, and of VeNCrypt 0.2 X509None, X509Vnc and X509Plain. The TLS types
// without a certificate need anonymous Diffie-Hellman, which crypto/tls does not have:
// a VM that has only those is refused with words that say what to configure there.
//
// Nothing is read ahead: what comes with the last byte of the handshake stays in the socket.
// Without TLS the stream is the very connection that was given; with it, the *tls.Conn.
// On an error the connection is closed. Errors are *Error: words for the journal, a Kind and
// a Side for the program; a client hears generic words only. Secrets print as "redacted".
//
// Bounds: a handshake takes 10 s at most (a Limit, or less where ctx ends before), a reason
// is kept up to 256 bytes, a user and a password of X509Plain up to 1024 bytes each. Nothing
// is allocated by a length from the wire before it was checked.
//
// What a client says afterwards can be looked at. PassInit hands its first byte on and may
// change the wish in it to send everybody else away. Watch wraps the connection of a client
// that may see the desktop and change nothing; ViewOnly is the filter in it. Neither touches
// what the VM says.
package rfb
