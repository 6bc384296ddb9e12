package rtmp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var urlCases = []struct {
	url      string
	hostPort string // "" means refused
	tcURL    string
	app      string
	name     string
}{
	{"rtmp://example.com/live/cam", "example.com:1935", "rtmp://example.com/live", "live", "cam"},
	{"rtmps://example.com/live/cam", "example.com:443", "rtmps://example.com/live", "live", "cam"},
	{"rtmp://example.com:1936/live/cam", "example.com:1936", "rtmp://example.com:1936/live", "live", "cam"},
	{"rtmp://[::1]/live/cam", "[::1]:1935", "rtmp://[::1]/live", "live", "cam"},
	{"rtmp://[::1]:1936/live/cam", "[::1]:1936", "rtmp://[::1]:1936/live", "live", "cam"},
	{"rtmp://example.com/live/a/b?token=x&y=/z", "example.com:1935", "rtmp://example.com/live", "live", "a/b?token=x&y=/z"},
	{"rtmp://user:pass@example.com/live/cam", "example.com:1935", "rtmp://example.com/live", "live", "cam"},
	{"rtmp://example.com/live/%e6%91%84", "example.com:1935", "rtmp://example.com/live", "live", "%e6%91%84"},
	{"rtmp://example.com/live/摄像头", "example.com:1935", "rtmp://example.com/live", "live", "摄像头"},
	{url: "rtmp://example.com/live"},
	{url: "rtmp://example.com/live/"},
	{url: "rtmp://example.com//cam"},
	{url: "rtmp://example.com"},
	{url: "rtmp:///live/cam"},
	{url: "http://example.com/live/cam"},
	{url: "example.com/live/cam"},
	{url: "rtmp://user:se cret@exa mple/live/cam"},
	{url: ""},
}

func TestParseURL(t *testing.T) {
	for _, c := range urlCases {
		t.Run(c.url, func(t *testing.T) {
			a, err := parseURL(c.url)
			if c.hostPort == "" {
				require.ErrorIs(t, err, ErrURL)
				require.NotContains(t, err.Error(), "cret")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.hostPort, a.hostPort)
			require.Equal(t, target{c.tcURL, c.app, c.name}, a.target)
		})
	}
}

func TestRedirected(t *testing.T) {
	a, err := parseURL("rtmp://user:pass@one/live/cam?x=1")
	require.NoError(t, err)
	for to, want := range map[string]string{
		"rtmp://two:1936/app/other": "two:1936 app other",
		"rtmp://two/app":            "two:1935 app cam?x=1",
		"rtmp://two/app/":           "two:1935 app cam?x=1",
	} {
		b, err := a.redirected(to)
		require.NoError(t, err, to)
		require.Equal(t, want, b.hostPort+" "+b.app+" "+b.name)
		require.NotNil(t, b.user)
	}
	_, err = a.redirected("http://two/app")
	require.ErrorIs(t, err, ErrURL)
}

func FuzzParseURL(f *testing.F) {
	for _, c := range urlCases {
		f.Add(c.url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		if a, err := parseURL(url); err == nil {
			require.NotEmpty(t, a.app)
			require.NotEmpty(t, a.name)
			require.NotEmpty(t, a.host)
		}
	})
}
