package pveproxy

// Values are values of the document by the paths of their keys, such as
// "access.allow_from": texts and booleans.
type Values map[string]any

// Problem is what is wrong with a document. Field is the path of a key, Message says what
// would be right.
type Problem struct{ Field, Message string }

// Document is what a file is laid over. Now and Usual hold every path that a file can
// come to, and tls.cert_file.
type Document struct {
	Now   Values                 // what it says
	Usual Values                 // what it says by default
	Check func(Values) []Problem // what is wrong with it when these are its values
}
