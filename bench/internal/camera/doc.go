// Package camera is many cameras in one process that send by RTP over UDP as
// GB/T 28181 has it: one stream of package media in a program stream, to each
// receiver under another SSRC and from another port. So that they take little of a
// machine which they share with the server, all send the same packets, one after
// the other, of which but the SSRC is written anew.
package camera
