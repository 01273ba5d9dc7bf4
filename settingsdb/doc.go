// Package settingsdb owns the settings document and the database it lives in.
//
// # The document
//
// [Settings] is the whole configuration, one JSON object that is the same on
// every node. [Default] is the document with nothing said, [Fresh] the one a
// new node starts with. A posted document, whole or partial, goes through
//
//	next, problems := settingsdb.Revise(current, body)
//
// which decodes strictly ([Strict]), lays the posted keys over the current
// document ([Merge]) and checks every rule ([Settings.Validate]). All problems
// come back at once, each with the path of its key and with what would be
// right; nothing is ever accepted silently. What is accepted and cannot hold as
// it is written, [Warnings] and [Settings.Effective] tell.
package settingsdb
