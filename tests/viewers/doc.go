// Package viewers tests desktops that the gateway enters itself: real viewers on one side
// of the real binary, real VNC servers on the other, and what passes between them.
//
// The default tests let every viewer and every server meet once; the build tag e2e has all
// of them meet all, encrypted and not. See docs/viewers.md for what is tested here.
package viewers
