package rtsp

import (
	"fmt"
	"strings"
)

// packetInfo returns the RTP-Info (RFC 2326, 12.33) of the tracks that were set up,
// "" if st does not know of one.
func packetInfo(setups []*setup, st start) string {
	var b strings.Builder
	for i, x := range setups {
		if x.media >= len(st.tracks) {
			return ""
		}
		if i > 0 {
			b.WriteByte(',')
		}
		t := st.tracks[x.media]
		fmt.Fprintf(&b, "url=%s;seq=%d;rtptime=%d", infoURL(x.url), t.sequence, t.timestamp)
	}
	return b.String()
}

// infoURL returns a URL without what would end it in a list of parameters.
func infoURL(raw string) string {
	return strings.NewReplacer(",", "%2C", ";", "%3B", " ", "%20").Replace(raw)
}
