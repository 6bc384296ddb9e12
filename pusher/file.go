package pusher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// createFile creates a file by its path or file URL.
func (c *Client) createFile(_ context.Context, name string, tracks []*codec.Track) (source.Writer, error) {
	path, err := fileurl.Path(name)
	if err != nil {
		return nil, fmt.Errorf("pusher: %w", err)
	}
	write := c.fileWriter(path)
	if write == nil {
		return nil, fmt.Errorf("pusher: %s: %w: the files that are written are .flv, .mp4, .ts, .mpg and .m3u8", path, source.ErrUnsupported)
	}
	w, err := write(path, tracks)
	if err != nil {
		return nil, fmt.Errorf("pusher: %s: %w", path, err)
	}
	return w, nil
}

// fileWriter returns what writes a file of this name; nil if nothing does.
func (c *Client) fileWriter(path string) func(path string, tracks []*codec.Track) (source.Writer, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".flv", "": // a pipe, say
		return c.createFLV
	case ".mp4", ".m4v", ".mov":
		return c.createMP4
	case ".ts", ".m2ts", ".mts":
		return c.createTS
	case ".mpg", ".mpeg", ".ps":
		return c.createPS
	case ".m3u8":
		return c.createHLS
	}
	return nil
}

// fileBuffer is how many bytes are written to a file at once.
const fileBuffer = 256 << 10

// bufferFor returns how many bytes are collected for f: none for a pipe, at whose
// other end somebody waits.
func bufferFor(f *os.File) int {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return fileBuffer
}

func (c *Client) createFLV(path string, tracks []*codec.Track) (source.Writer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := flv.NewWriter(f, tracks)
	w.Form, w.Buffer = c.Form, bufferFor(f)
	c.leaveOut(path, tracks, flv.NewBodyMuxer(tracks, c.Form).Carries)
	return w, nil
}

func (c *Client) createTS(path string, tracks []*codec.Track) (source.Writer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	c.leaveOut(path, tracks, ts.Carries)
	w := ts.NewWriter(f, tracks)
	w.Buffer = bufferFor(f)
	return w, nil
}

func (c *Client) createPS(path string, tracks []*codec.Track) (source.Writer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	c.leaveOut(path, tracks, ps.Carries)
	w := ps.NewWriter(f, tracks)
	w.Buffer = bufferFor(f)
	return w, nil
}

func (c *Client) createMP4(path string, tracks []*codec.Track) (source.Writer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w, err := mp4.NewWriter(f, tracks, &mp4.WriterOptions{Layout: c.Layout})
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	c.leaveOut(path, tracks, mp4.Carries)
	return w, nil
}

// createHLS creates a playlist, and segments in the folder called like it.
func (c *Client) createHLS(path string, tracks []*codec.Track) (source.Writer, error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if err := hls.RemoveRecording(dir, name); err != nil {
		return nil, err
	}
	o := hls.Options{Dir: dir, Record: name, Segment: c.Segment, Logger: c.Logger}
	if strings.HasSuffix(strings.ToLower(name), ".fmp4.m3u8") {
		o.Container = hls.FMP4
	}
	w, err := hls.NewWriter(tracks, o) // which logs the tracks that are left out
	if err != nil {
		return nil, err
	}
	return w, nil
}

// leaveOut logs the tracks that do not go to a place.
func (c *Client) leaveOut(place string, tracks []*codec.Track, carries func(*codec.Track) bool) {
	if c.Logger == nil {
		return
	}
	for _, t := range tracks {
		if !carries(t) {
			c.Logger.Warn("pusher: track left out", "to", place, "track", t.String())
		}
	}
}
