package wire

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeader(t *testing.T) {
	h := Header{{"CSeq", "1"}, {"Session", "a"}, {"session", "b"}, {"Transport", "t"}}
	require.Equal(t, "1", h.Get("cseq"))
	require.Equal(t, "a", h.Get("SESSION"))
	require.Empty(t, h.Get("None"))
	require.True(t, h.Has("transport"))
	require.False(t, h.Has("None"))
	require.Equal(t, []string{"a", "b"}, h.Values("Session"))
	require.Nil(t, h.Values("None"))
	require.Equal(t, http.Header{"Cseq": {"1"}, "Session": {"a", "b"}, "Transport": {"t"}}, h.HTTP())

	h.Add("Range", "npt=0-")
	h.Set("SESSION", "c")
	require.Equal(t, Header{{"CSeq", "1"}, {"Session", "c"}, {"Transport", "t"}, {"Range", "npt=0-"}}, h)
	h.Set("Scale", "1")
	require.Equal(t, "1", h.Get("Scale"))
	h.Del("transport")
	require.Equal(t, Header{{"CSeq", "1"}, {"Session", "c"}, {"Range", "npt=0-"}, {"Scale", "1"}}, h)

	require.Equal(t, "A: b c  d\r\n", string(Header{{"A", "b\nc\r\nd"}, {"content-length", "77"}}.Append(nil)), "line ends, or a length of the caller's")
}

func TestStatusText(t *testing.T) {
	for status, text := range map[int]string{
		200: "OK", 250: "Low on Storage Space", 404: "Not Found", 414: "Request URI Too Long", 451: "Parameter Not Understood",
		453: "Not Enough Bandwidth", 454: "Session Not Found", 455: "Method Not Valid in This State", 461: "Unsupported Transport",
		505: "RTSP Version Not Supported", 551: "Option Not Supported", 999: "",
	} {
		require.Equal(t, text, StatusText(status))
	}
	for status := 451; status < 463; status++ {
		require.NotEmpty(t, StatusText(status))
	}
}
