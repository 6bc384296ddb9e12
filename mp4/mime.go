package mp4

import (
	"strings"

	"github.com/mediakit-go/mediakit/codec"
)

// MIMEType returns the type of a stream with these tracks, with the codecs
// parameter of RFC 6381 that Media Source Extensions ask for, such as
// `video/mp4; codecs="avc1.64001f,mp4a.40.2"`; audio/mp4 if there is no video. It
// is that of the stream a [Muxer] of these tracks makes. A codec that RFC 6381
// has no more for is told by its sample entry.
func MIMEType(tracks []*codec.Track) string {
	kind := "audio/mp4"
	var codecs []string
	for _, t := range tracks {
		if !ready(t) {
			continue
		}
		if t.Kind() == codec.KindVideo {
			kind = "video/mp4"
		}
		name := t.CodecString()
		if name == "" {
			c, _ := carriageOf(t)
			name = c.entry
		}
		codecs = append(codecs, name)
	}
	if len(codecs) == 0 {
		return "video/mp4"
	}
	return kind + `; codecs="` + strings.Join(codecs, ",") + `"`
}
