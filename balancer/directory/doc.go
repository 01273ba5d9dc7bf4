// Package directory is what the nodes of a cluster know in common: who is alive,
// and small keyed records (sticky entries, grants) that every node holds in full.
//
// # Use
//
// New, Apply, Run; hand what the peers send to Receive. Put, Delete, Get and All
// work on the own copy and never wait, also without peers and before Run. Share
// waits until every living peer has acknowledged.
//
// # How records travel
//
// Every node keeps its records in the order in which it stored them, and each
// peer a position in that order up to which it acknowledged. What is written
// here goes to all peers at once; what came from another node is passed on once a
// second and only to whom it is still missing. A record replaces an older one of
// its key, whoever wrote it: the time it was written decides, with a hybrid
// logical clock (the wall clock, never going back, always later than every record
// seen), then the higher address. A deletion is a record, too, kept 10 minutes: a
// node cut off for longer may bring a deleted record back.
//
// # Who is alive
//
// Membership is hashicorp/memberlist on Config.Port (UDP and TCP), encrypted, and
// only for the addresses in Config.Peers. Records never go over it.
package directory
