// Package console is the browser console: the page at /console/ that shows a
// desktop, and every file it is made of. The page is ours, a few modules without
// a build step; the VNC client in it is the core of noVNC, unmodified.
//
//	mux.Handle("/console/", console.Handler())
//
// Handler serves the page and its files alone. Beginning a session
// (POST /console/session), resuming one (POST /console/resume), the WebSocket
// (/v3/connect/) and /livez, which the page measures its connection by, are the
// API's; page/session.js and page/tunnel.js have that contract.
//
// What a browser may do with the page is said by its headers and is as little as
// the page needs: scripts and styles are files of this node, nothing is fetched
// from elsewhere, nobody may frame it or learn its address. The page itself is
// never stored; its files are, for as long as a browser likes: their path has a
// digest of all of them, so that another version has another path.
//
// novnc/ is made by `make novnc`, and not to be edited.
package console
