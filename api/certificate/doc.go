// Package certificate keeps the TLS certificate of a node and speaks TLS for
// every port of it that speaks HTTP.
//
// # Use
//
// New starts nothing; Apply makes a Config the state, before Run as well as while
// it runs. Run watches the files. Accept makes connections of a listening socket
// speak TLS where their clients do, and Secured sends those to https that do not.
//
// # Which certificate
//
// The pair that Config.CertFile and KeyFile name; else the one that an authority
// issues (Config.Issued, and package acme, which asks it); else that of DefaultCert and
// DefaultKey, if there is such a file; else a self-signed one that is made in Dir,
// for the names of the Config, and made anew before it ends or when a name is
// missing. Files that change are taken within seconds, without a connection being
// dropped. Files that cannot be used change nothing: the former pair stays, and
// Status says why. A node that starts with such files has a self-signed
// certificate until they are mended, so that it can be reached at all; one that
// starts with an expired pair has that, since it may be the clock that is wrong.
//
// # Nodes among themselves
//
// A node that reaches another one does not care for names, authorities and clocks:
// both derive an Ed25519 key pair from each key that the cluster shares
// (HKDF-SHA256), and the caller accepts that public key only. It asks for it by a
// server name made of the public key's hash, so that the answer does not depend on
// the certificate which users see. Nodes answer so even where TLS is off for users:
// a cluster that changes from one to the other has both for a moment.
package certificate
