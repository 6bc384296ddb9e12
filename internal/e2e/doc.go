// Package e2e tests the server against other people's programs: ffmpeg,
// GStreamer, rtmpdump and a browser publish to it and play from it. It holds
// tests only.
//
// A test starts a server in its own process on free loopback ports (server.go),
// makes its media with ffmpeg (clip.go), runs programs (process.go) and compares
// what came out with what went in (probe.go).
//
// A program that is not installed skips the tests that need it; with
// MEDIAKIT_E2E=require in the environment it fails them. peers/install, which
// "make test" runs, installs all of them where it can.
package e2e
