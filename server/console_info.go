package server

import (
	"cmp"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

const (
	defaultListed = 100
	maxListed     = 1000
	maxSessions   = 200 // of a stream that are told one by one
)

// consoleSchema is what the console itself watches streams as; it is not told.
const consoleSchema = "console"

// A ServerInfo is what a [Console] knows of where streams are to be had.
type ServerInfo struct {
	Time  time.Time `json:"time"`            // the server's clock
	RTMP  string    `json:"rtmp,omitempty"`  // "host:port", or ":port" of the host that the page comes from; not there: not offered
	RTMPS string    `json:"rtmps,omitempty"` // as are the others
	RTSP  string    `json:"rtsp,omitempty"`  //
	RTSPS string    `json:"rtsps,omitempty"` //
	Media string    `json:"media,omitempty"` // URL that streams lie under by HTTP and WebSocket; not there: the page's origin
}

// A StreamList is a part of the streams of a hub, sorted by name.
type StreamList struct {
	Time     time.Time    `json:"time"`     // the server's clock
	Total    int          `json:"total"`    // streams there are
	Matching int          `json:"matching"` // of which the query finds so many
	Streams  []StreamInfo `json:"streams"`  // and these were asked for
}

// A StreamInfo describes a stream.
type StreamInfo struct {
	Time      time.Time      `json:"time"`      // the server's clock
	Vhost     string         `json:"vhost"`     // "__defaultVhost__" without virtual hosts
	App       string         `json:"app"`       //
	Stream    string         `json:"stream"`    // may have slashes in it
	State     string         `json:"state"`     // "pending", "live", or "lingering": the publisher was lost and may return
	Created   time.Time      `json:"created"`   //
	Tracks    []TrackInfo    `json:"tracks"`    //
	Publisher *SessionInfo   `json:"publisher"` // null while lingering
	Viewers   map[string]int `json:"viewers"`   // by schema, such as "rtmp" or "hls"; recordings and the like are left out
	BytesIn   uint64         `json:"bytesIn"`   // received from the present publisher
	BytesOut  uint64         `json:"bytesOut"`  // sent to those who watch now

	// These are told of one stream only.
	Ring     *RingInfo     `json:"ring,omitempty"`     //
	Feeds    []FeedInfo    `json:"feeds,omitempty"`    //
	Watching int           `json:"watching,omitempty"` // sessions there are, of which the first 200 follow
	Sessions []SessionInfo `json:"sessions,omitempty"` // who reads the stream, the longest first; recordings and the like, too
}

// A TrackInfo describes a track of a stream.
type TrackInfo struct {
	ID          int         `json:"id"`                    //
	Kind        string      `json:"kind"`                  // "video", "audio" or "data"
	Codec       string      `json:"codec"`                 // such as "H264"
	CodecString string      `json:"codecString,omitempty"` // of RFC 6381, such as "avc1.64001f"
	Profile     string      `json:"profile,omitempty"`     // such as "High"
	Width       int         `json:"width,omitempty"`       // pixels
	Height      int         `json:"height,omitempty"`      //
	FrameRate   float64     `json:"frameRate,omitempty"`   // that the parameters tell
	SampleRate  int         `json:"sampleRate,omitempty"`  // Hz
	Channels    int         `json:"channels,omitempty"`    //
	Synthetic   bool        `json:"synthetic,omitempty"`   // silence made here, not by the publisher
	Measured    *TrackRates `json:"measured,omitempty"`    // in events only
}

// TrackRates are what was measured of a track in the last second.
type TrackRates struct {
	Bitrate     int     `json:"bitrate"`               // bits of media per second
	FrameRate   float64 `json:"frameRate"`             // frames per second of the stream's time
	KeyInterval float64 `json:"keyInterval,omitempty"` // seconds between the latest two key frames, of video
}

// A SessionInfo describes a publisher or a viewer.
type SessionInfo struct {
	ID       string    `json:"id"`                //
	Schema   string    `json:"schema"`            // what it is counted by
	Protocol string    `json:"protocol"`          // how it came, such as "ws-flv"
	Remote   string    `json:"remote,omitempty"`  // its address, if the Console tells
	Passive  bool      `json:"passive,omitempty"` // no viewer: a recording, a relay
	Start    time.Time `json:"start"`             // when it was accepted
	Bytes    uint64    `json:"bytes"`             // received from a publisher, sent to a viewer
	Bitrate  int       `json:"bitrate,omitempty"` // of a publisher: bits received per second, over one to ten seconds; the average if nobody looked for so long
	Frames   uint64    `json:"frames"`            // or packets, to a viewer
	Lag      float64   `json:"lag,omitempty"`     // of a viewer: seconds behind the newest frame
	Jumps    uint64    `json:"jumps,omitempty"`   // of a viewer: how often it was too slow and went to the newest key frame
	Skipped  uint64    `json:"skipped,omitempty"` // frames it missed by that
	Dropped  uint64    `json:"dropped,omitempty"` // of a publisher: frames refused for bad content
	Repairs  uint64    `json:"repairs,omitempty"` // of a publisher: timestamps repaired
}

// A RingInfo tells what of a stream is kept for those who come.
type RingInfo struct {
	Frames int `json:"frames"`
	Bytes  int `json:"bytes"`
}

// A FeedInfo describes a wire form that a stream is made into, once for all.
type FeedInfo struct {
	Format  string `json:"format"`            // such as "flv"
	Variant string `json:"variant,omitempty"` //
	Viewers int    `json:"viewers"`           //
	Bytes   int    `json:"bytes"`             // kept
	Dropped uint64 `json:"dropped,omitempty"` // frames the form could not take
}

func (c *Console) serverInfo() ServerInfo {
	return ServerInfo{
		Time: utcNow(), RTMP: offered(c.RTMP), RTMPS: offered(c.RTMPS),
		RTSP: offered(c.RTSP), RTSPS: offered(c.RTSPS), Media: strings.TrimSuffix(c.Media, "/"),
	}
}

// utcNow is what JSON has of the time: no more than milliseconds, and no zone.
func utcNow() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// offered is an address without the host if that only says where to listen.
func offered(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "0" { // any: only the listener knows
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return net.JoinHostPort(host, port)
}

// list answers a request for streams. Only those that are listed cost more than
// the comparison of a name.
func (c *Console) list(query url.Values) StreamList {
	l := StreamList{Time: utcNow(), Streams: []StreamInfo{}}
	if c.Hub == nil {
		return l
	}
	limit, offset := queryNumber(query.Get("limit"), defaultListed, maxListed), queryNumber(query.Get("offset"), 0, math.MaxInt32)
	q := strings.ToLower(query.Get("q"))
	all := c.Hub.Streams()
	l.Total = len(all)
	for _, s := range all {
		if q != "" && !strings.Contains(strings.ToLower(s.Key().Path()), q) {
			continue
		}
		if l.Matching >= offset && len(l.Streams) < limit {
			l.Streams = append(l.Streams, c.info(s.Stats(), false))
		}
		l.Matching++
	}
	return l
}

// queryNumber reads a number of a query: def if it is none, most if it is more.
func queryNumber(s string, def, most int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return def
	}
	return min(n, most)
}

// info describes a stream, in full or as a list has it.
func (c *Console) info(st source.StreamStats, full bool) StreamInfo {
	i := StreamInfo{
		Time: utcNow(), Vhost: st.Key.Vhost, App: st.Key.App, Stream: st.Key.Stream, State: st.State.String(),
		Created: st.Created.UTC().Truncate(time.Millisecond), Tracks: []TrackInfo{}, Viewers: st.Viewers,
	}
	for _, t := range st.Tracks {
		i.Tracks = append(i.Tracks, trackInfo(t))
	}
	if p := st.Publisher; p.ID != "" {
		s := c.session(p)
		s.Bitrate = c.rates.bitrate(p, time.Now())
		i.Publisher, i.BytesIn = &s, p.Bytes
	}
	for _, s := range st.Sessions {
		if s.Schema != consoleSchema {
			i.BytesOut += s.Bytes
		}
	}
	if !full {
		return i
	}
	i.Ring = &RingInfo{st.RingItems, st.RingBytes}
	for _, f := range st.Feeds {
		i.Feeds = append(i.Feeds, FeedInfo{f.Format, f.Variant, f.Viewers, f.RingBytes, f.Dropped})
	}
	slices.SortFunc(i.Feeds, func(a, b FeedInfo) int {
		return cmp.Or(cmp.Compare(a.Format, b.Format), cmp.Compare(a.Variant, b.Variant))
	})
	sessions := slices.DeleteFunc(st.Sessions, func(s source.SessionStats) bool { return s.Schema == consoleSchema })
	slices.SortFunc(sessions, func(a, b source.SessionStats) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
	})
	i.Watching = len(sessions)
	for _, s := range sessions[:min(len(sessions), maxSessions)] {
		i.Sessions = append(i.Sessions, c.session(s))
	}
	return i
}

func (c *Console) session(s source.SessionStats) SessionInfo {
	i := SessionInfo{
		ID: s.ID, Schema: s.Schema, Protocol: s.Protocol, Passive: s.Passive,
		Start: s.Start.UTC().Truncate(time.Millisecond), Bytes: s.Bytes, Frames: s.Frames,
		Lag: rounded(s.Lag.Seconds()), Jumps: s.Jumps, Skipped: s.Skipped, Dropped: s.Dropped, Repairs: s.Repairs,
	}
	if c.ShowAddresses && s.Remote != nil {
		i.Remote = s.Remote.String()
	}
	return i
}

func trackInfo(t *codec.Track) TrackInfo {
	i := TrackInfo{
		ID: t.ID, Kind: t.Kind().String(), Codec: t.Codec.String(), CodecString: t.CodecString(), Profile: t.Profile(),
		Width: t.Width, Height: t.Height, FrameRate: rounded(t.FrameRate),
		SampleRate: t.SampleRate, Channels: t.Channels, Synthetic: t.Synthetic,
	}
	if t.Codec == codec.Opaque && t.Name != "" {
		i.Codec = t.Name
	}
	return i
}

// rounded is f with three digits behind the point; 0 for what JSON has no number for.
func rounded(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return math.Round(f*1000) / 1000
}
