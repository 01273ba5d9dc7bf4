// Package lab makes small networks of Linux network namespaces: hosts with
// addresses, joined by one switch, in which tests and benchmarks run programs
// and open sockets of their own.
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }
//
//	net := lab.New(t)
//	vm := net.Host("vm", "10.99.0.20/24", "fd99::20/64")
//	l, err := vm.Listen("10.99.0.20:5900")
//
// It needs root, or user namespaces, in which Main starts the test binary once
// more; where neither is allowed New skips the test and says why.
//
// The namespaces have no name: the kernel drops one, with its interfaces, when
// the last descriptor and the last process in it are gone. So nothing is left
// behind however a run ends, and runs never meet. To look into one while a test
// runs: nsenter --net=/proc/PID/fd/N, with the path that Host.Path tells.
//
// Programs started on a host end with the network, or with the test process.
package lab
