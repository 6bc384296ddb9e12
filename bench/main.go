// Bench measures what a server costs that sends one live stream to many
// viewers, next to the least it could cost on the same machine in the same
// minute.
//
//	go run ./bench                 everything, about 20 minutes
//	go run ./bench -quick          a short version
//	go run ./bench -only rtsp      one protocol
//	go run ./bench -h              what can be chosen
//
// It starts the server in a process of its own, publishes a generated stream of
// 2 Mbit/s to it by RTMP from a second one, and attaches N viewers by RTMP, FLV,
// MPEG-TS and fragmented MP4 over HTTP and WebSocket, and RTSP over TCP and UDP,
// in a third. The floor is a
// program that writes the same bytes in the same batches to N plain sockets and
// does nothing else.
// nginx with its RTMP module is measured the same way where it is installed. HLS
// is measured by what segments and parts take (hls_linux.go), RTP from 500 cameras
// by what receiving it takes (ingest_linux.go).
// README.md here has a table of results and says how to read it.
//
// The way of a run: options_linux.go (what to measure), session_linux.go (in
// which order), cell_linux.go (one measurement), then the processes:
// server_linux.go, floor_linux.go, nginx_linux.go, publish_linux.go,
// viewers_linux.go; table.go prints.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
