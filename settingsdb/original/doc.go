// Package original reads what the original gateway told its HAProxy and its Keepalived,
// haproxy.cfg and keepalived.conf, and what of it the document takes, without touching
// anything: a file comes in as bytes, values and a report go out.
//
//	sections, err := original.ParseHAProxy(file)
//	report, err := original.HAProxy(document, sections)
//	// report.Values is what the document is to say, report.Lines what became of each line
//
// The parsers know the languages, not the programs: every directive is read, whatever it
// is. HAProxy and Keepalived take those that this gateway has too and say of every other
// one whether it is not needed here or what to do instead. What a file leaves out counts
// where the program's default decides whether both understand each other: a Keepalived
// that is told no version speaks version 2 of VRRP.
//
// A value that the rules of the document refuse is told and left out. Secrets of a file
// are neither taken nor shown.
package original
