package main

import (
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/child"
	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
)

// The name of the stream. Of several, the number follows.
const (
	streamApp  = "live"
	streamName = "bench"
)

// publishArgs are what the publishers' process is told.
type publishArgs struct {
	Protocol string
	Addr     string
	N        int
	GOP      time.Duration
	Apart    bool // write each packet at its own time, not audio with the video frame after it
}

// publishMain is the process with the publishers. They end with it.
func publishMain() error {
	var lost atomic.Int64
	return child.Methods{
		"publish": child.Func(func(a publishArgs) (any, error) {
			for i := range a.N {
				name := streamName
				if a.N > 1 {
					name = fmt.Sprint(streamName, i)
				}
				conn, err := net.Dial("tcp", a.Addr)
				if err != nil {
					return nil, err
				}
				encode, err := announce(conn, a.Protocol, name)
				if err != nil {
					return nil, err
				}
				start := time.Now().Add(offset(i, a.GOP))
				go io.Copy(io.Discard, conn)
				go func() {
					publish(conn, encode, a, start)
					lost.Add(1)
				}()
			}
			return nil, nil
		}),
		"lost": child.Func(func(struct{}) (int64, error) { return lost.Load(), nil }),
	}.Serve(os.Stdin, os.Stdout)
}

// offset returns when publisher i starts: all over the GOP, and the time of a
// frame, as evenly as the golden ratio does it.
func offset(i int, gop time.Duration) time.Duration {
	_, f := math.Modf(float64(i) * (math.Phi - 1))
	return time.Duration(f * float64(gop))
}

// An encoder appends p to b as it is written to the connection.
type encoder func(b []byte, p media.Packet) ([]byte, error)

// announce begins to publish a stream.
func announce(conn net.Conn, protocol, name string) (encoder, error) {
	if protocol == crowd.RTSP {
		return announceRTSP(conn, name)
	}
	id, err := wire.PublishRTMP(conn, streamApp, name)
	return func(b []byte, p media.Packet) ([]byte, error) { return appendRTMP(b, id, p), nil }, err
}

// publish sends the stream in real time until the connection fails.
func publish(conn net.Conn, encode encoder, a publishArgs, start time.Time) error {
	s := &media.Stream{GOP: a.GOP}
	var b []byte
	var err error
	for _, p := range s.Config() {
		if b, err = encode(b, p); err != nil {
			return err
		}
	}
	for n := uint32(0); ; {
		p := s.Next()
		if p.Type == media.TagVideo || a.Apart {
			time.Sleep(time.Until(start.Add(p.DTS)))
		}
		if p.Type == media.TagVideo {
			media.Stamp(p.Body, n, proc.Now())
			n++
		}
		if b, err = encode(b, p); err != nil {
			return err
		}
		if p.Type != media.TagVideo && !a.Apart {
			continue
		}
		if _, err := conn.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
}

// appendRTMP appends p as a message, on the chunk streams that encoders use.
func appendRTMP(b []byte, id uint32, p media.Packet) []byte {
	chunks, body := byte(4), p.Body
	switch p.Type {
	case media.TagVideo:
		chunks = 6
	case media.TagScript:
		body = append(amf.Append(nil, "@setDataFrame"), body...)
	}
	return wire.AppendMessage(b, chunks, p.Type, id, p.DTS, body, wire.ChunkSize)
}

// announceRTSP begins to publish a stream by RTSP over TCP, with a sender report
// every five seconds, as encoders send them.
func announceRTSP(conn net.Conn, name string) (encoder, error) {
	tracks, err := media.Tracks()
	if err != nil {
		return nil, err
	}
	packetizers, err := wire.PublishRTSP(conn, "/"+streamApp+"/"+name, tracks)
	var report time.Duration // when the next one is due
	return func(b []byte, p media.Packet) ([]byte, error) {
		if p.Config {
			return b, nil // the SDP has said it
		}
		if p.DTS >= report {
			for _, z := range packetizers {
				b = z.AppendReport(b, p.DTS, time.Now())
			}
			report += 5 * time.Second
		}
		i, flags := 0, codec.FlagKey
		switch {
		case p.Type == media.TagAudio:
			i = 1
		case !p.Key:
			flags = 0
		}
		return packetizers[i].Append(b, &codec.Frame{Track: tracks[i], DTS: p.DTS, PTS: p.DTS, Flags: flags, Data: p.Sample()})
	}, err
}
