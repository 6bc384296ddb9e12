// Package wire reads and writes RTMP chunks and messages (RTMP 1.0, sections 5
// and 6).
//
// A [Reader] makes messages of the chunks it reads, [AppendMessage] makes chunks
// of a message. What a message's body holds has a type of its own per kind of
// message, each in a file of its name: Append writes the body, Unmarshal reads
// it.
//
// Everything a peer sends is bounded by [Limits]. No memory is allocated for
// bytes that are announced only, except for what Limits.Ahead allows.
package wire
