// Package xvnc runs real VNC programs for tests: Xtigervnc and QEMU as VMs, TigerVNC's
// viewer and gvnccapture as what people use.
//
//	d := xvnc.StartDesktop(t, host.Do, addr, 24, "-SecurityTypes", "None")
//	img := xvnc.Capture(t, host.Do, xvnc.Login{Server: d.Addr})
//	xvnc.WantPattern(t, img, d.Size, xvnc.Exact)
//
// A desktop shows a pattern in which every moved, turned or recoloured pixel is seen. What
// is started ends with the test and says what it had to say if that fails; a program that
// is not installed skips it.
package xvnc
