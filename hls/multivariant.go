package hls

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// multivariantVersion is the protocol version that the media playlists need for
// EXT-X-MAP (RFC 8216, section 7).
const multivariantVersion = 6

// serveMultivariant answers with the multivariant playlist whose only variant is
// the media playlist name. It returns the bytes of the body.
func (v *viewer) serveMultivariant(w http.ResponseWriter, r *http.Request, name string) int64 {
	ctx, cancel := context.WithTimeout(r.Context(), max(firstWait, capFactor*v.h.Options.withDefaults().Segment))
	defer cancel()
	info, err := v.muxing.cutter.variant(ctx)
	if err != nil {
		if r.Context().Err() == nil {
			livehttp.Refuse(w, r, fmt.Errorf("%w: %w", source.ErrNotFound, err))
		}
		return 0
	}
	b := info.multivariant(variantURI(name, v.id, r.URL.RawQuery))
	playlistHeader(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	n, _ := io.WriteString(w, b)
	return int64(n)
}

// multivariant returns a multivariant playlist with one variant (RFC 8216, section
// 4.3.4.2).
func (i variantInfo) multivariant(uri string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-STREAM-INF:BANDWIDTH=%d", multivariantVersion, i.Bandwidth)
	if i.AverageBandwidth > 0 {
		fmt.Fprintf(&b, ",AVERAGE-BANDWIDTH=%d", i.AverageBandwidth)
	}
	if i.Codecs != "" {
		fmt.Fprintf(&b, ",CODECS=%q", i.Codecs)
	}
	if i.Width > 0 && i.Height > 0 {
		fmt.Fprintf(&b, ",RESOLUTION=%dx%d", i.Width, i.Height)
	}
	if i.FrameRate > 0 {
		fmt.Fprintf(&b, ",FRAME-RATE=%.3f", i.FrameRate)
	}
	b.WriteString("\n" + uri + "\n")
	return b.String()
}

// variantURI returns the URI of a media playlist for one client, with what of the
// query the next session, if this one is over by then, is asked with.
func variantURI(name, id, query string) string {
	uri := name + "?" + sessionParam + "=" + id
	if rest := variantParams(query); rest != "" {
		uri += "&" + printable(rest)
	}
	return uri
}

// printable escapes what may not stand in a URI, and so in a line of a playlist.
func printable(query string) string {
	var b strings.Builder
	for i := range len(query) {
		switch c := query[i]; {
		case c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '#':
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
