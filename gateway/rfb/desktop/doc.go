// Package desktop is the built-in sample desktop: a small VNC server of our
// own (RFB 3.3, 3.7 and 3.8, RFC 6143) and a small viewer for it. The demo
// shows it through a tunnel, tests use it as a VM that draws.
//
// The picture is made to show at a glance that a session is live: a clock
// with seconds, planets on their orbits, what is typed, rings where somebody
// clicks, a trail behind the pointer, and counters of frames and bytes.
// Escape clears the text. All viewers share one desktop and see each other.
//
//	d := desktop.New(desktop.Config{Name: "sample"})
//	err := d.Serve(ctx, listener) // returns when ctx ends and all clients are gone
//
// Security type None is the only one offered: the desktop has nothing to
// protect. Serve it on loopback.
//
// How it works: a scene is pure state; step takes it through an event at a
// moment, and list turns it into shapes, slot by slot. What differs between
// two lists is what must be painted and sent, and nothing else is. Frames are
// drawn only while a client waits for one, at most Config.FPS a second, and a
// client gets an update only after it asked, so a slow reader holds one small
// buffer and nothing grows behind it. Updates are Raw or Hextile, whichever
// the client named first, in any true-colour format of 8, 16 or 32 bits; who
// asks for a colour map gets a fixed one of 256 entries.
//
// Bounds: 64 clients, 10 s for the handshake, 10 s for each write, 30 s from
// a message's first byte to its last, clipboards above 1 MiB skipped unread.
package desktop
