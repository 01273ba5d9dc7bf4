// Package frames is the data phase of WebSocket (RFC 6455) on the server's side:
// what comes after the handshake.
//
// A tunnel is a stream of bytes in binary messages whose borders mean nothing. So
// nothing is collected: a Decoder takes bytes as they come off the wire and gives
// back the payload among them, in the same memory; AppendHeader makes the header
// that goes before bytes on their way out. Both only compute, and hold some bytes
// between calls. Stream puts them around a connection for whoever reads and writes
// by goroutines; the relay's loops use them as they are.
package frames
