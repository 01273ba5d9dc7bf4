// Package pages tests the browser console end to end: the real program on hosts of a lab
// network, real VNC servers behind it, and in front of it a real Chromium, on a host of its
// own, whose network fails, changes and comes back.
//
// The page alone, at a gateway that is as small as the contract, is tested in
// tests/console. What takes long or many carries the build tag e2e.
package pages
