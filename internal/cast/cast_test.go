package cast

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Two tracks of one codec, IDs that are taken, and other parameters.
func TestCast(t *testing.T) {
	var c Cast
	a := c.Play(nil, testmedia.Track(1, codec.AAC), testmedia.Track(2, codec.AAC))
	b := c.Play(nil, testmedia.Track(2, codec.H264), testmedia.Track(7, codec.AAC))
	require.Equal(t, []int{1, 2}, []int{a[0].Out.ID, a[1].Out.ID})
	require.Equal(t, []int{3, 1}, []int{b[0].Out.ID, b[1].Out.ID})
	require.Same(t, a[0].Out, b[1].Out)
	require.Len(t, c.First, 3)
	late := c.Play(b, testmedia.Track(9, codec.AAC))
	require.Equal(t, 2, late[2].Out.ID)
	require.Equal(t, 1, Find(late, 7))
	require.Equal(t, -1, Find(late, 1))

	video, first := &late[0], late[0].Out
	c.Renew(video, testmedia.Track(2, codec.H264))
	require.Same(t, first, video.Out, "it is the same")
	c.Renew(video, testmedia.Track2(2, codec.H264))
	require.Equal(t, 3, video.Out.ID)
	require.False(t, first.SameConfig(video.Out))
	require.Contains(t, c.Known, video.Out)
	require.Contains(t, c.First, first)
}
