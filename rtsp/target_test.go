package rtsp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

var resolveCases = []struct {
	in, key, params string // key "": an error
}{
	{"rtsp://host/live/cam", "vhost(host)/live/cam", ""},
	{"rtsp://host:8554/live/cam", "vhost(host)/live/cam", ""},
	{"rtsp://user:p@ss@host:8554/live/cam", "vhost(host)/live/cam", ""},
	{"rtsp://[fe80::1]:8554/live/cam", "vhost(fe80::1)/live/cam", ""},
	{"rtsps://host/live/cam/", "vhost(host)/live/cam", ""},
	{"RTSP://host/live/a/b/c", "vhost(host)/live/a/b/c", ""},
	{"rtsp://host/live/cam.sdp", "vhost(host)/live/cam", ""},
	{"rtsp://host/live/cam.sdp/", "vhost(host)/live/cam", ""},
	{"rtsp://host/live/cam?token=a/b&x=1", "vhost(host)/live/cam", "token=a/b&x=1"},
	{"rtsp://host/live/cam?token=a/", "vhost(host)/live/cam", "token=a"},
	{"rtsp://host/live/cam%20one", "vhost(host)/live/cam one", ""},
	{"rtsp://host/live/cam#x", "vhost(host)/live/cam", ""},
	{"rtsp://host/live//cam", "vhost(host)/live/cam", ""},
	{"/live/cam", "vhost()/live/cam", ""},
	{"rtsp://host/live/100%", "vhost(host)/live/100%", ""},

	{"rtsp://host/live", "", ""},
	{"rtsp://host/", "", ""},
	{"rtsp://host", "", ""},
	{"rtsp://host?x", "", ""},
	{"*", "", ""},
	{"", "", ""},
	{"rtsp://host/live/../etc", "", ""},
	{"rtsp://host/live/%2e%2e/etc", "", ""},
	{"rtsp://host/live/cam%00", "", ""},
	{"rtsp://host/live/a//b", "", ""},
	{"rtsp://host/live/" + strings.Repeat("a", 300), "", ""},
}

func TestResolve(t *testing.T) {
	s := &Server{Vhost: func(host string) string { return "vhost(" + host + ")" }}
	for _, c := range resolveCases {
		t.Run(c.in, func(t *testing.T) {
			key, params, err := s.resolve(c.in)
			if c.key == "" {
				require.ErrorIs(t, err, source.ErrBadKey)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.key, key.String())
			require.Equal(t, c.params, params)
		})
	}
	key, _, err := new(Server).resolve("rtsp://host/live/cam")
	require.NoError(t, err)
	require.Equal(t, source.DefaultVhost, key.Vhost)
}

var controlCases = []struct {
	name, base string
	controls   string // separated by blanks
	in         string
	want       int
}{
	{"ours", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://h/live/cam/trackID=1", 1},
	{"base with slash", "rtsp://h/live/cam/", "trackID=0 trackID=1", "rtsp://h/live/cam/trackID=0", 0},
	{"query in the middle", "rtsp://h/live/cam?a=b", "trackID=0 trackID=1", "rtsp://h/live/cam?a=b/trackID=1", 1},
	{"query at the end", "rtsp://h/live/cam?a=b", "trackID=0 trackID=1", "rtsp://h/live/cam/trackID=1?a=b", 1},
	{"another host name", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://10.0.0.1:554/live/cam/trackID=1", 1},
	{"last element replaced", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://h/live/trackID=1", 1},
	{"slash at the end", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://h/live/cam/trackID=1/", 1},
	{"one of many", "rtsp://h/live/cam", "trackID=1 trackID=10 trackID=11", "rtsp://h/live/cam/trackID=10", 1},
	{"prefix", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://h/live/cam/trackID=1/more", 1},
	{"absolute", "rtsp://h/live/cam", "rtsp://x/a rtsp://x/b", "rtsp://x/b", 1},
	{"ffmpeg's", "rtsp://h/live/cam", "streamid=0 streamid=1", "rtsp://h/live/cam/streamid=1", 1},
	{"GStreamer's", "rtsp://h/live/cam", "stream=0 stream=1", "rtsp://h/live/cam/stream=1", 1},
	{"with slashes", "rtsp://h/live/cam", "/trackID=0 /trackID=1", "rtsp://h/live/cam/trackID=1", 1},
	{"aggregate", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://h/live/cam", -1},
	{"unknown", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://h/live/cam/trackID=2", -1},
	{"negative", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://h/live/cam/trackID=-1", -1},
	{"10^20", "rtsp://h/live/cam", "trackID=0 trackID=1", "rtsp://h/live/cam/trackID=100000000000000000000", -1},
	{"only one", "rtsp://h/live/cam", "trackID=0", "rtsp://h/live/cam", 0},
	{"only one, anything", "rtsp://h/live/cam", "trackID=0", "*", 0},
	{"no controls", "rtsp://h/live/cam", "", "rtsp://h/live/cam", -1},
}

func TestFindMedia(t *testing.T) {
	for _, c := range controlCases {
		t.Run(c.name, func(t *testing.T) {
			var medias []media
			for control := range strings.FieldsSeq(c.controls) {
				medias = append(medias, media{control: control})
			}
			require.Equal(t, c.want, findMedia(medias, c.base, c.in))
		})
	}
}

func TestCutControl(t *testing.T) {
	for in, want := range map[string]string{
		"rtsp://h/live/cam/trackID=1":     "rtsp://h/live/cam",
		"rtsp://h/live/cam/trackid=1":     "",
		"rtsp://h/live/cam?a=b/trackID=1": "rtsp://h/live/cam?a=b",
		"rtsp://h/live/cam?a=b&trackID=1": "rtsp://h/live/cam?a=b",
		"rtsp://h/live/cam/trackID=1?a=b": "rtsp://h/live/cam?a=b",
		"rtsp://h/live/cam?trackID=1":     "rtsp://h/live/cam",
		"rtsp://h/live/cam/trackID=-1":    "rtsp://h/live/cam",
		"rtsp://h/live/cam":               "",
		"rtsp://h/live/cam/streamid=1":    "",
		"rtsp://h/live/cam/trackID=1=2":   "",
		"*":                               "",
		"":                                "",
		"trackID=1":                       "",
	} {
		base, ok := cutControl(in)
		require.Equal(t, want != "", ok, in)
		if !ok {
			want = in
		}
		require.Equal(t, want, base)
	}
}

func FuzzTarget(f *testing.F) {
	for _, c := range resolveCases {
		f.Add(c.in)
	}
	for _, c := range controlCases {
		f.Add(c.in)
	}
	medias := []media{{control: "trackID=0"}, {control: "rtsp://x/y"}}
	f.Fuzz(func(t *testing.T, in string) {
		if key, _, err := new(Server).resolve(in); err == nil {
			require.NoError(t, key.Validate())
		}
		base, _ := cutControl(in)
		require.LessOrEqual(t, len(base), len(in))
		require.Less(t, findMedia(medias, base, in), len(medias))
	})
}
