// Package e2e tests the whole product from outside: the real binary on one
// host of a lab network, clients, strangers and VMs on others, real programs
// at both ends of a tunnel. The node is set up by its command line and driven
// through HTTP; what ended a session is read in its log, as an operator does.
//
// The default tests have one case per real peer and take a minute or so; the
// build tag e2e adds the full matrices. What a machine does not have or allow
// is skipped with the reason.
package e2e
