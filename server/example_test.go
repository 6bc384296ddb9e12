package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/mediakit-go/mediakit/server"
)

// Files whose viewers have to know a password, which they are asked for once in
// ten minutes.
func ExampleFiles() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	_ = os.WriteFile(filepath.Join(dir, "film.mp4"), []byte("0123456789"), 0o600)

	files := &server.Files{
		Root: dir,
		Access: func(_ context.Context, r *server.AccessRequest) (server.Access, error) {
			if r.Request.URL.Query().Get("password") != "sesame" {
				return server.Access{Refusal: "wrong password"}, nil
			}
			return server.Access{Folder: "/", For: 10 * time.Minute}, nil
		},
	}

	for _, url := range []string{"/film.mp4", "/film.mp4?password=sesame"} {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		r.Header.Set("Range", "bytes=-4")
		w := httptest.NewRecorder()
		files.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Content-Range"), w.Body)
	}
	// Output:
	// 401  wrong password
	//
	// 206 bytes 6-9/10 6789
}
