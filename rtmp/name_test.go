package rtmp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

var targetCases = []struct {
	name   string
	target target
	path   string // "" means refused
	params string
}{
	{"plain", target{app: "live", name: "cam"}, "live/cam", ""},
	{"instance", target{app: "a/b", name: "c"}, "a/b/c", ""},
	{"deep name", target{app: "live", name: "a/b/c"}, "live/a/b/c", ""},
	{"slashes around", target{app: "/live/", name: "/cam/"}, "live/cam", ""},
	{"all in the app", target{app: "live/cam", name: ""}, "live/cam", ""},
	{"all in the app, with parameters", target{app: "live/cam?k=v", name: ""}, "live/cam", "k=v"},
	{"parameters of the name", target{tcURL: "rtmp://h/live?t=1", app: "live?a=1", name: "cam?n=1&x=?"}, "live/cam", "n=1&x=?"},
	{"parameters of the app", target{tcURL: "rtmp://h/live?t=1", app: "live?a=1", name: "cam"}, "live/cam", "a=1"},
	{"parameters of the URL", target{tcURL: "rtmp://h/live?t=1", app: "live", name: "cam"}, "live/cam", "t=1"},
	{"parameters without a name", target{app: "live/cam", name: "?n=1"}, "live/cam", "n=1"},
	{"mp4 without suffix", target{app: "record", name: "mp4:0"}, "record/0.mp4", ""},
	{"mp4 with suffix", target{app: "record", name: "mp4:0.mp4?t=1"}, "record/0.mp4", "t=1"},
	{"mp4 in folders", target{app: "record", name: "mp4:live/cam/2020-03-28/11-09-38"}, "record/live/cam/2020-03-28/11-09-38.mp4", ""},
	{"flv", target{app: "record", name: "flv:a"}, "record/a.flv", ""},
	{"mp4 in the app", target{app: "record/mp4:cam", name: "0.mp4?t=1"}, "record/cam/0.mp4", "t=1"},
	{"mp4 in the app, without suffix", target{app: "record/mp4:cam/2020-03-28", name: "0"}, "record/cam/2020-03-28/0.mp4", ""},
	{"mp4 and all in the app", target{app: "record/mp4:0.mp4", name: ""}, "record/0.mp4", ""},
	{"mp4 in an instance", target{app: "record/cam", name: "mp4:0"}, "record/cam/0.mp4", ""},
	{"an app like a prefix", target{app: "mp4:live", name: "cam"}, "mp4:live/cam", ""},
	{"a colon of its own", target{app: "live", name: "cam:1"}, "live/cam:1", ""},
	{"only an app", target{app: "live"}, "", ""},
	{"nothing", target{}, "", ""},
	{"parent", target{app: "live", name: "../x"}, "", ""},
	{"control byte", target{app: "live", name: "a\r\nb"}, "", ""},
	{"too long", target{app: "live", name: strings.Repeat("a", 300)}, "", ""},
}

func TestResolve(t *testing.T) {
	for _, c := range targetCases {
		t.Run(c.name, func(t *testing.T) {
			key, params, err := c.target.resolve(nil)
			if c.path == "" {
				require.ErrorIs(t, err, source.ErrBadKey)
				return
			}
			require.NoError(t, err)
			require.Equal(t, source.DefaultVhost, key.Vhost)
			require.Equal(t, c.path, key.Path())
			require.Equal(t, c.params, params)
		})
	}
}

func TestResolveVhost(t *testing.T) {
	key, _, err := target{tcURL: "rtmp://example.com:1935/live", app: "live", name: "cam"}.resolve(strings.ToUpper)
	require.NoError(t, err)
	require.Equal(t, source.Key{Vhost: "EXAMPLE.COM", App: "live", Stream: "cam"}, key)
}

func TestHostOf(t *testing.T) {
	for url, want := range map[string]string{
		"rtmp://example.com/live":          "example.com",
		"rtmp://example.com:1935/live":     "example.com",
		"rtmp://example.com":               "example.com",
		"rtmp://user:pass@example.com/a":   "example.com",
		"rtmp://[::1]:1935/live":           "::1",
		"rtmp://[::1]/live":                "::1",
		"rtmp://example.com?vhost=x":       "example.com",
		"example.com/live":                 "",
		"":                                 "",
		"rtmp://":                          "",
		"rtmp://example.com:1935@evil.com": "evil.com",
	} {
		require.Equal(t, want, hostOf(url), url)
	}
}

func FuzzResolve(f *testing.F) {
	for _, c := range targetCases {
		f.Add(c.target.tcURL, c.target.app, c.target.name)
	}
	f.Fuzz(func(t *testing.T, tcURL, app, name string) {
		key, _, err := target{tcURL, app, name}.resolve(func(host string) string { return host })
		if err == nil {
			require.NoError(t, key.Validate())
		}
	})
}
