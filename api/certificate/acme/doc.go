// Package acme has an authority issue the certificate of the gateway, by ACME
// (RFC 8555) and its challenge HTTP-01, and renews it before it ends.
//
// # Use
//
// New starts nothing; Apply says what is wanted, before Run as well as while it runs;
// Run owns every goroutine. What is issued are files below Deps.Dir, where Files tells:
// certificate.Keeper takes them as they come and change. Receive answers other nodes,
// to whom Deps.Ask speaks.
//
// # Who works
//
// The node for which Active is true asks the authority. All nodes answer challenges,
// since the authority asks at the virtual address and that may move meanwhile. A node
// that becomes active goes on at once, and one that is it no longer stops (see turn).
// Two that both believe to be active, as in a cluster that is divided, get two
// certificates, of which the later one is everybody's once they meet: an authority does
// not mind.
//
// # What the nodes share
//
// The account, its key, the certificate, its key and challenges under way are values of
// a store in files, as certmagic keeps them. A folder of it is kept (see draft) and shared
// as a whole: the certificate never goes without its key. The folder with the newest
// change wins. Nodes compare their folders when one has changed here, and every few
// seconds, so that one which starts or comes back lacks nothing for long. Changes are
// never older than what they replace, however wrong a clock is.
//
// Nothing is deleted elsewhere because it was deleted here: accounts and certificates
// are only ever replaced, and challenges are worthless, and deleted by each node, after
// an hour. So a node that was away can bring nothing back that does harm.
//
// Locks are those of this process: one node works at a time, and when two do, each
// works on its own store.
//
// # What is kept from certmagic
//
// It gets a Cache for each attempt, whose maintenance maintains nothing, and is asked
// to manage one name, in the foreground: so an attempt is one, its error is that of the
// authority, and when the next one is due is decided here (see pause). Its limit on
// attempts, which would be a goroutine for ever, is left out, and so is stapling. Its
// log goes to ours at level debug.
package acme
