package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/server"
	"github.com/mediakit-go/mediakit/source"
)

// The page and its data beside streams and whatever else a program serves.
func ExampleConsole() {
	hub := &source.Hub{}
	defer hub.Close()
	mux := http.NewServeMux()
	mux.Handle("/console/", http.StripPrefix("/console", &server.Console{Hub: hub, RTMP: ":1935"}))
	mux.Handle("/", &flv.Handler{Handler: hub})
	site := httptest.NewServer(mux)
	defer site.Close()

	res, err := http.Get(site.URL + "/console/api/v1/streams")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(res.Body)
	fmt.Println(res.Status, len(b) > 0, err)
	// Output: 200 OK true <nil>
}
