// Package console tests the browser console with real parts at both ends: a real
// Chromium opens the page of api/console, a gateway made for the tests keeps the
// contract between page and server and carries the stream, and behind it stand
// the sample desktop and a real Xtigervnc.
//
// The gateway of these tests is as small as the contract; the real one has tests
// of its own. It can be told to refuse, to cut and to close, and it notes what
// the page says to the desktop.
package console
