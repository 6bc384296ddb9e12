package player

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ts"
)

// TestVODServed plays files over HTTP and WebSocket, from their beginnings and from
// somewhere, to the last frame.
func TestVODServed(t *testing.T) {
	v := &VOD{Root: vault(t)}
	inTS := &ts.Handler{Handler: v}
	inMP4 := &mp4.Handler{Handler: v, Next: inTS}
	inFLV := &flv.Handler{Handler: v, Next: inMP4}
	srv := httptest.NewServer(inFLV)
	t.Cleanup(func() { // when all have gone
		srv.Close()
		require.Eventually(t, func() bool { return len(v.Sessions()) == 0 }, 10*time.Second, time.Millisecond)
	})
	cases := []struct {
		scheme, start string
		from          time.Duration
	}{{"http", "", 0}, {"ws", "?start=0.45", 400 * time.Millisecond}, {"http", "?start=0.2", 200 * time.Millisecond}, {"ws", "", 0}}
	for i, file := range []string{"a.flv", "a.ts", "a.mpg", "a.mp4", "a.mov"} {
		for j, suffix := range []string{".live.flv", ".live.ts", ".live.mp4"} {
			c := cases[(i+j)%len(cases)]
			t.Run(c.scheme+" "+file+suffix+c.start, func(t *testing.T) {
				t.Parallel()
				r, err := Open(t.Context(), c.scheme+strings.TrimPrefix(srv.URL, "http")+"/record/cam/"+file+suffix+c.start)
				require.NoError(t, err)
				frames, err := containertest.ReadAll(r)
				require.Equal(t, io.EOF, err)
				require.NoError(t, r.Close())
				filmtest.Require(t, frames, 5*time.Millisecond)
				pictures := len(containertest.OfKind(frames, codec.KindVideo))
				require.Equal(t, int((filmLength-c.from)/(40*time.Millisecond)), pictures, "from there to the end")
			})
		}
	}
	t.Run("refusals", func(t *testing.T) {
		for path, status := range map[string]int{
			"/record/cam/b.flv.live.flv":                      http.StatusNotFound,
			"/record/cam/text.flv.live.flv":                   http.StatusNotAcceptable,
			"/record/cam/broken.mp4.live.ts":                  http.StatusNotAcceptable,
			"/record/cam/a.mp4.live.mp4?start=99":             http.StatusNotFound,
			"/record/cam/a.mp4.live.mp4?start=x":              http.StatusNotFound,
			"/record/..%2fsecret.flv.live.flv":                http.StatusNotFound,
			"/record/cam/a.flv;..%2f..%2fsecret.flv.live.flv": http.StatusNotFound,
		} {
			_, err := Open(t.Context(), srv.URL+path)
			var refused *flv.StatusError
			require.True(t, errors.As(err, &refused), "%s: %v", path, err)
			require.Equal(t, status, refused.Code, path)
			require.NotContains(t, refused.Error(), "secret")
		}
	})
}
