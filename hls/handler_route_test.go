package hls

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

var routeCases = []struct {
	url    string
	stream string // "": not ours
	route  route
}{
	{"/live/t/hls.m3u8", "/live/t", route{mediaRoute, TS, "hls.m3u8"}},
	{"/live/t/HLS.M3U8", "/live/t", route{mediaRoute, TS, "hls.m3u8"}},
	{"/live/t/hls.fmp4.m3u8", "/live/t", route{mediaRoute, FMP4, "hls.fmp4.m3u8"}},
	{"/live/t/Hls.FMP4.m3u8?x=1", "/live/t", route{mediaRoute, FMP4, "hls.fmp4.m3u8"}},
	{"/live/t/index.m3u8", "/live/t", route{multivariantRoute, FMP4, "hls.fmp4.m3u8"}},
	{"/live/t/Index.m3u8?container=ts", "/live/t", route{multivariantRoute, TS, "hls.m3u8"}},
	{"/live/t/index.m3u8?container=fmp4", "/live/t", route{multivariantRoute, FMP4, "hls.fmp4.m3u8"}},
	{"/live/a/b/c/hls.m3u8", "/live/a/b/c", route{mediaRoute, TS, "hls.m3u8"}},
	{"/live/t%20x/hls.m3u8", "/live/t x", route{mediaRoute, TS, "hls.m3u8"}},
	{"/live/hls.m3u8", "/live", route{mediaRoute, TS, "hls.m3u8"}}, // no stream can be called that
	{"/live/t/2026-01-02/03/04-05_6.ts", "/live/t", route{segmentRoute, TS, "2026-01-02/03/04-05_6.ts"}},
	{"/live/a/b/2026-01-02/03/04-05_1234567890.mp4", "/live/a/b", route{segmentRoute, FMP4, "2026-01-02/03/04-05_1234567890.mp4"}},
	{"/live/t/init.mp4", "/live/t", route{segmentRoute, FMP4, "init.mp4"}},
	{"/live/t/init-12.mp4", "/live/t", route{segmentRoute, FMP4, "init-12.mp4"}},
	{"/live/t/hls_delay.m3u8", "/live/t", route{mediaRoute, TS, "hls_delay.m3u8"}},
	{"/live/t/HLS_delay.fmp4.m3u8", "/live/t", route{mediaRoute, FMP4, "hls_delay.fmp4.m3u8"}},
	{"/record/a.mp4/hls.m3u8", "/record/a.mp4", route{mediaRoute, TS, "hls.m3u8"}},
	{"/record/a.mp4/vod-12.ts?session=x", "/record/a.mp4", route{vodRoute, TS, "vod-12.ts"}},
	{"/record/a/b.mp4/vod-0.mp4", "/record/a/b.mp4", route{vodRoute, FMP4, "vod-0.mp4"}},
	{"/record/a.mp4/vod-init-7.mp4", "/record/a.mp4", route{vodRoute, FMP4, "vod-init-7.mp4"}},

	{"/record/a.mp4/vod-init-7.ts", "", route{}},
	{"/record/a.mp4/vod-.ts", "", route{}},
	{"/record/a.mp4/vod-99999999999999999999.ts", "", route{}},
	{"/hls.m3u8", "", route{}},
	{"/", "", route{}},
	{"/live/t", "", route{}},
	{"/live/t/other.m3u8", "", route{}},
	{"/live/t/hls.m3u8/", "", route{}},
	{"/live/t/hls.m3u8.m3u8", "", route{}},
	{"/live/t.live.ts", "", route{}},
	{"/live/t/2026-01-02/03/04-05_.ts", "", route{}},
	{"/live/t/2026-01-02/03/04-05_x.ts", "", route{}},
	{"/live/t/2026-01-02/03/04-05_-1.ts", "", route{}},
	{"/live/t/2026-01-02/03/04-05_99999999999999999999.ts", "", route{}},
	{"/live/t/2026-01-02/03/0405_6.ts", "", route{}},
	{"/live/t/2026-01-02/3/04-05_6.ts", "", route{}},
	{"/live/t/2026x01-02/03/04-05_6.ts", "", route{}},
	{"/live/t/2026-01-02/0x/04-05_6.ts", "", route{}},
	{"/live/t/2026-01-2/03/04-05_6.ts", "", route{}},
	{"/live/t/2026-01-02/03/04-05_6.TS", "", route{}},
	{"/2026-01-02/03/04-05_6.ts", "", route{}},
	{"/03/04-05_6.ts", "", route{}},
	{"/04-05_6.ts", "", route{}},
	{"/live/t/init-.mp4", "", route{}},
	{"/live/t/init-x.mp4", "", route{}},
	{"/live/t/init-1", "", route{}},
	{"/live/t/init", "", route{}},
}

func TestRoute(t *testing.T) {
	for _, c := range routeCases {
		t.Run(c.url, func(t *testing.T) {
			stream, rt, ok := parseRoute(httptest.NewRequest(http.MethodGet, c.url, nil))
			require.Equal(t, c.stream != "", ok)
			require.Equal(t, c.stream, stream)
			require.Equal(t, c.route, rt)
		})
	}
}

// What a route names is below its stream, whatever the path.
func FuzzRoute(f *testing.F) {
	for _, c := range routeCases {
		path, query, _ := strings.Cut(c.url, "?")
		f.Add(path, query)
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: path, RawQuery: query}
		stream, rt, ok := parseRoute(r)
		if !ok {
			require.Empty(t, stream)
			return
		}
		require.NotContains(t, rt.name, "..")
		if rt.kind == segmentRoute {
			require.Equal(t, path, stream+"/"+rt.name)
		}
		if key, err := source.ParseKey("", stream); err == nil {
			require.NotContains(t, strings.Split(key.Path(), "/"), "..")
		}
		id := "AAAA"
		uri := variantURI("hls.m3u8", id, query)
		u, err := url.Parse(uri)
		require.NoError(t, err)
		require.Equal(t, id, u.Query().Get(sessionParam))
		require.NotContains(t, uri, "\n")
		require.NotContains(t, uri, `"`)
		_ = fingerprintOf(r)
	})
}
