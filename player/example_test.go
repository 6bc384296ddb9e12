package player_test

import (
	"context"
	"log"
	"net/http"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// The films in /var/media/record, at rtsp://host:8554/record/film.mp4 and
// http://host:8080/record/film.mp4.live.flv?start=60, beside live streams.
func ExampleVOD() {
	live := &source.Hub{}
	vod := &player.VOD{Root: "/var/media", Next: live}
	defer vod.Close()
	go (&rtsp.Server{Addr: ":8554", Handler: vod}).ListenAndServe(context.Background())
	log.Print(http.ListenAndServe(":8080", &flv.Handler{Handler: vod}))
}

// A file becomes a live stream of any name while somebody watches it.
func ExampleClient_Source() {
	files := &player.Client{Paced: true, Loop: true}
	hub := &source.Hub{}
	hub.OnMiss = func(_ context.Context, r *source.Request) (source.Source, error) {
		if r.Key.Path() != "live/film" {
			return nil, source.ErrNotFound
		}
		return files.Source("film.mp4"), nil
	}
	log.Print(http.ListenAndServe(":8080", &flv.Handler{Handler: hub}))
}
