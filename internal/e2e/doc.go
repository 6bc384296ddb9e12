// Package e2e tests the servers and clients against other people's programs:
// ffmpeg, GStreamer, gortsplib, gortmplib, rtmpdump and a browser publish to them
// and play from them. It holds tests only.
//
// A test starts a server in its own process on free loopback ports
// (server_test.go), makes its media with ffmpeg (clip_test.go), runs programs
// (process_test.go) and compares what came out with what went in: the packets
// (probe_test.go), the decoded pictures (screening_test.go) or the frames
// (film_test.go). What is shown over HTTP is in container_test.go, hls_*_test.go
// and files_test.go; RTP of GB28181 comes from devices of our own, see
// gb28181_device_test.go. A browser is driven by its DevTools protocol
// (browser_chromium_test.go), and the numbers of pictures are read off its screen
// (browser_number_test.go).
//
// Multicast needs a network of the test's own, see namespace_test.go; where the
// kernel grants none it is left out.
//
// A program that is not installed skips the tests that need it; with
// MEDIAKIT_E2E=require in the environment it fails them. peers/install, which
// "make test" runs, installs all of them where it can.
package e2e
