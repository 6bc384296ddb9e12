// Transmux puts what is in a file into another container, which the name of the
// other file chooses. Nothing is decoded. On stderr it shows how far it is:
//
//	go run ./examples/transmux film.mp4 film.ts
//	go run ./examples/transmux -layout fragmented film.flv film.mp4
//	go run ./examples/transmux film.ts film.m3u8
//	go run ./examples/transmux disc.vob film.mp4
//	go run ./examples/transmux 'part1.mp4;part2.mp4' film.mp4
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/source"
)

// layouts are the names of how MP4 files are laid out.
var layouts = map[string]mp4.Layout{
	"progressive": mp4.LayoutProgressive,
	"faststart":   mp4.LayoutFastStart,
	"fragmented":  mp4.LayoutFragmented,
}

func main() {
	name := flag.String("layout", "progressive", "`layout` of an MP4 file: progressive, faststart or fragmented")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: transmux [-layout progressive] FROM TO")
		flag.PrintDefaults()
	}
	flag.Parse()
	layout, ok := layouts[*name]
	if flag.NArg() != 2 || !ok {
		flag.Usage()
		os.Exit(2)
	}
	debug.SetGCPercent(400) // what is read is soon written, and little is kept
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	if fileurl.Same(flag.Arg(0), flag.Arg(1)) {
		fmt.Fprintln(os.Stderr, "transmux: both names are those of one file")
		os.Exit(2)
	}
	client := &pusher.Client{Layout: layout, Logger: slog.Default()}
	err := pusher.Push(ctx, client.Sink(flag.Arg(1)), watched(player.Source(flag.Arg(0))))
	fmt.Fprintln(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "transmux:", err)
		os.Exit(1)
	}
}

// watched returns a Source that opens s and shows how far it was read.
func watched(s source.Source) source.Source {
	return source.SourceFunc(func(ctx context.Context) (source.Reader, error) {
		r, err := s.Open(ctx)
		if err != nil {
			return nil, err
		}
		p := &progress{Reader: r, begun: time.Now()}
		if file, ok := source.As[source.Seeker](r); ok {
			p.whole = file.Duration()
		}
		return p, nil
	})
}

// A progress shows how far a Reader is.
type progress struct {
	source.Reader
	whole         time.Duration // 0: not known
	begun, shown  time.Time
	at            time.Duration
	frames, bytes int64
}

// Unwrap returns the Reader that is watched.
func (p *progress) Unwrap() source.Reader { return p.Reader }

// ReadFrame reads on.
func (p *progress) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	f, err := p.Reader.ReadFrame(ctx)
	if err != nil {
		p.show(time.Now())
		return nil, err
	}
	p.at = max(p.at, f.DTS)
	p.frames++
	p.bytes += int64(len(f.Data))
	if p.frames%256 == 0 {
		if now := time.Now(); now.Sub(p.shown) > 200*time.Millisecond {
			p.show(now)
		}
	}
	return f, nil
}

// show writes the line anew.
func (p *progress) show(now time.Time) {
	p.shown = now
	line := fmt.Sprintf("%v, %d frames, %d MB, %.0f times as fast as it plays",
		p.at.Round(time.Second), p.frames, p.bytes/1e6, p.at.Seconds()/max(now.Sub(p.begun).Seconds(), 0.001))
	if p.whole > 0 {
		line = fmt.Sprintf("%3.0f %%  %s", min(100*p.at.Seconds()/p.whole.Seconds(), 100), line)
	}
	fmt.Fprintf(os.Stderr, "\r%-78s", line)
}
