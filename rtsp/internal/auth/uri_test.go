package auth

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSameURI(t *testing.T) {
	for _, c := range []struct {
		method, requested, claimed string
		want                       bool
	}{
		{"DESCRIBE", "rtsp://h/live/cam", "rtsp://h/live/cam", true},
		{"DESCRIBE", "rtsp://h:8554/live/cam", "rtsp://10.0.0.1/live/cam", true}, // as seen from behind a NAT
		{"DESCRIBE", "rtsp://h/live/cam", "/live/cam", true},
		{"DESCRIBE", "/live/cam", "rtsp://h/live/cam", true},
		{"DESCRIBE", "rtsp://h/live/cam", "rtsp://h/live/cam/", true},
		{"DESCRIBE", "rtsp://h/live/cam/", "rtsp://h/live/cam", true},
		{"DESCRIBE", "rtsp://h/live/cam?a=b", "/live/cam?a=b", true},
		{"DESCRIBE", "rtsp://h/live/cam?u=rtsp://x/y", "/live/cam?u=rtsp://x/y", true},
		{"DESCRIBE", "rtsp://h/live/cam?a=b", "/live/cam", false},
		{"DESCRIBE", "rtsp://h/live/cam", "rtsp://h/live/cam2", false},
		{"DESCRIBE", "rtsp://h/live/cam", "rtsp://h/live/CAM", false},
		{"DESCRIBE", "rtsp://h/live/cam", "rtsp://h/live", false},
		{"DESCRIBE", "rtsp://h/live/cam", "rtsp://h", false},
		{"DESCRIBE", "rtsp://h/live/cam", "*", false},
		{"DESCRIBE", "rtsp://h/live/cam", "live/cam", false},
		{"DESCRIBE", "rtsp://h/live/cam", "rtsp://live/cam", false},
		{"OPTIONS", "*", "*", true},
		{"OPTIONS", "rtsp://h", "rtsp://h/", true},
		{"SETUP", "rtsp://h/live/cam/trackID=1", "rtsp://h/live/cam/trackID=1", true},
		{"SETUP", "rtsp://h/live/cam/trackID=1", "rtsp://h/live/cam/", true}, // VLC
		{"SETUP", "rtsp://h/live/cam/trackID=1", "rtsp://h/live/cam", true},  // openRTSP
		{"SETUP", "rtsp://h/live/cam?a=b/trackID=1", "rtsp://h/live/cam?a=b", true},
		{"SETUP", "rtsp://h/live/cam/trackID=1", "rtsp://h/live/cam/trackID=2", false},
		{"SETUP", "rtsp://h/live/cam/trackID=1", "rtsp://h/live", false},
		{"SETUP", "rtsp://h/live/cam/trackID=1", "rtsp://h/live/ca", false},
		{"PLAY", "rtsp://h/live/cam/trackID=1", "rtsp://h/live/cam", false},
	} {
		require.Equal(t, c.want, sameURI(c.method, c.requested, c.claimed), "%+v", c)
	}
}
