package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/server"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// A web is all that is shown over HTTP: live streams, HLS, the page that lists
// them, and files.
type web struct {
	http.Handler
	shown []interface{ Shutdown(context.Context) error } // who has viewers
}

// web puts the handlers together, which show what films has: each answers what is its own and passes on the
// rest.
func (s mediaserver) web(hub *source.Hub, films source.Handler, log *slog.Logger) *web {
	files := &server.Files{Root: s.Root, Logger: log}
	page := &server.Console{Hub: hub, RTMP: s.RTMP, RTMPS: s.RTMPS, RTSP: s.RTSP, RTSPS: s.RTSPS, ShowAddresses: true, Next: files, Logger: log}
	inHLS := &hls.Handler{Handler: films, Options: hls.Options{Dir: s.HLSDir}, Next: page, Logger: log}
	inMP4 := &mp4.Handler{Handler: films, Next: inHLS, Logger: log}
	inTS := &ts.Handler{Handler: films, Next: inMP4, Logger: log}
	inFLV := &flv.Handler{Handler: films, Next: inTS, Logger: log}
	w := &web{Handler: &archive{root: s.Root, files: files, next: inFLV}}
	w.shown = append(w.shown, inFLV, inTS, inMP4, inHLS)
	return w
}

// shutdown ends all viewers' streams properly, as far as they take the end
// before ctx is done.
func (w *web) shutdown(ctx context.Context) error {
	var errs []error
	for _, h := range w.shown {
		errs = append(errs, h.Shutdown(ctx))
	}
	return errors.Join(errs...)
}
