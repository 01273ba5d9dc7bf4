// Package pveproxy takes over what Proxmox's /etc/default/pveproxy says, without a shell
// and without touching anything: a file comes in as bytes, values and a report go out.
//
//	assignments, err := pveproxy.Parse(file)
//	report, err := pveproxy.Import(document, assignments, "")
//	// report.Values is what the document is to say, report.Lines what became of each key
//
// pveproxy has bash read the file. [Parse] reads the part of that language in which
// assignments are written, with quotes, backslashes and lines that go on, and means the
// same by it; what bash would have to expand or to run is an error, since its outcome
// would be a guess.
//
// [Import] takes every key by itself: one that this gateway does not have, or whose value
// the rules of the document refuse, is told and left out. Access lists are the exception:
// who may come in must never be the outcome of half a list, so that they are taken as they
// are or nothing is imported at all.
package pveproxy
