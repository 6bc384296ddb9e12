// Package server is what an operator needs around the protocols: an HTTP server
// with limits, files over it, and a page that shows the streams of a hub.
//
//	mux := http.NewServeMux()
//	mux.Handle("/", &server.Files{Root: "www", Virtual: map[string]string{"record": "/var/record"}})
//	mux.Handle("/console/", http.StripPrefix("/console", &server.Console{Hub: hub}))
//	err := (&server.HTTP{Addr: ":8080", Handler: mux}).ListenAndServe(ctx)
//
// [Files] and [Console] are plain http.Handlers and work in any server; [HTTP]
// serves any http.Handler.
//
// Files: files.go (the way of a request), file_path.go (what a URL may name),
// ranges.go, content_type.go, folder.go (indexes and lists), access.go and
// grants.go (who may see them). HTTP: http.go (requests and their limits),
// visit.go (connections), body.go, stream_writer.go (HTTP/2). The page: console.go,
// console_info.go (what is told of streams), console_events.go (each second, with
// measurements), console_assets.go, and the page itself in the folder console.
package server
