package hls

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	slashpath "path"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

var siteStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Bitrate: 200_000}

// newWriterSite returns a site with Writers instead of fakes.
func newWriterSite(t testing.TB, h *Handler) *site {
	s := newSite(t, h)
	h.newCutter = nil
	return s
}

// announce begins a stream that frames are written to.
func (s *site) announce(stream testmedia.Stream) source.Publication {
	s.t.Helper()
	pub, err := s.hub.Publish(s.t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Key: siteKey})
	require.NoError(s.t, err)
	require.NoError(s.t, pub.SetTracks(stream.Tracks(), true))
	return pub
}

// play writes d of a stream in its own time.
func play(ctx context.Context, pub source.Publication, stream testmedia.Stream, d time.Duration) {
	began := time.Now()
	for _, f := range stream.Take(d) {
		time.Sleep(f.DTS - time.Since(began))
		if pub.WriteFrame(ctx, f) != nil {
			return
		}
	}
}

// A poller is a simple player: it polls a playlist and fetches every segment of it.
type poller struct {
	c        *client
	url      string
	sequence int // of the newest playlist
	next     int // segment
	fetched  int
	breaks   int // discontinuities seen in new segments
	ended    bool
}

// poll asks for the playlist and what is new in it.
func (p *poller) poll(t *testing.T) {
	w := p.c.requireStatus(http.StatusOK, p.url)
	var pl playlist.Media
	require.NoError(t, pl.Unmarshal(w.Body.Bytes()), w.Body)
	require.GreaterOrEqual(t, pl.MediaSequence, p.sequence, "the media sequence number has fallen")
	p.sequence, p.ended = pl.MediaSequence, pl.Endlist
	for i, s := range pl.Segments {
		if n := pl.MediaSequence + i; n >= p.next {
			if s.Discontinuity {
				p.breaks++
			}
			uri := s.URI
			body := p.c.requireStatus(http.StatusOK, slashpath.Join(slashpath.Dir(strings.Split(p.url, "?")[0]), uri)).Body
			require.NotZero(t, body.Len())
			p.next, p.fetched = n+1, p.fetched+1
		}
	}
}

// A player follows a stream through its publisher's return, its end and another
// stream of that name, and its bytes are counted exactly.
func TestPlayer(t *testing.T) {
	for _, c := range []struct {
		url    string
		jar    bool
		schema string
	}{
		{"/live/t/hls.m3u8", true, "hls"},
		{"/live/t/hls.m3u8", false, "hls"},
		{"/live/t/hls.fmp4.m3u8", true, "hls.fmp4"},
		{"/live/t/index.m3u8", false, "hls.fmp4"},
		{"/live/t/index.m3u8?container=ts", true, "hls"},
	} {
		t.Run(fmt.Sprintf("%s %v", c.url, c.jar), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newWriterSite(t, &Handler{})
				defer s.close()
				pub := s.announce(siteStream)
				done := make(chan struct{})
				go func() {
					defer close(done)
					play(t.Context(), pub, siteStream, 30*time.Second)
					_ = pub.CloseWithError(io.ErrUnexpectedEOF)
					time.Sleep(5 * time.Second)
					pub = s.announce(siteStream)
					play(t.Context(), pub, siteStream, 20*time.Second)
					_ = pub.Close()
				}()
				time.Sleep(100 * time.Millisecond)
				p := &poller{c: s.client(), url: c.url}
				p.c.jar = c.jar
				if strings.Contains(c.url, "index") {
					w := p.c.requireStatus(http.StatusOK, c.url)
					requireVariant(t, w.Body.Bytes())
					p.url = "/live/t/" + lastLine(w.Body.String())
				}
				for !p.ended {
					p.poll(t)
					time.Sleep(time.Second)
				}
				<-done
				require.Greater(t, p.fetched, 18)
				require.Positive(t, p.breaks)
				require.Len(t, s.played(), 1)
				require.Equal(t, c.schema, s.played()[0].Schema)
				bytes := p.c.bytes
				time.Sleep(10 * time.Second)
				require.Len(t, s.ended(), 1)
				require.EqualValues(t, bytes, s.ended()[0].Bytes)

				pub = s.announce(siteStream)
				go play(t.Context(), pub, siteStream, 10*time.Second)
				time.Sleep(time.Second)
				p.poll(t)
				require.False(t, p.ended)
				require.Len(t, s.played(), 2)
				time.Sleep(10 * time.Second)
			})
		})
	}
}

// requireVariant compares what a multivariant playlist says with the stream.
func requireVariant(t *testing.T, b []byte) {
	t.Helper()
	var pl playlist.Multivariant
	require.NoError(t, pl.Unmarshal(b), string(b))
	require.Len(t, pl.Variants, 1)
	v := pl.Variants[0]
	var codecs []string
	width, height := 0, 0
	for _, track := range siteStream.Tracks() {
		codecs = append(codecs, track.CodecString())
		width, height = max(width, track.Width), max(height, track.Height)
	}
	require.Equal(t, codecs, v.Codecs)
	require.Equal(t, strconv.Itoa(width)+"x"+strconv.Itoa(height), v.Resolution)
	require.InDelta(t, 25, *v.FrameRate, 0.1)
	require.InDelta(t, 300_000, v.Bandwidth, 150_000)
	require.LessOrEqual(t, *v.AverageBandwidth, v.Bandwidth)
}

// Over the network, plain and with TLS and HTTP/2, a browser is one viewer.
func TestServer(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			s := newWriterSite(t, &Handler{})
			srv := httptest.NewUnstartedServer(s.h)
			if secure {
				srv.EnableHTTP2 = true
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			defer srv.Client().CloseIdleConnections()
			defer s.close()
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			browser := srv.Client()
			browser.Jar = jar
			pub := s.announce(siteStream)
			frames := siteStream.Take(10 * time.Second)
			for _, f := range frames[:10] {
				require.NoError(t, pub.WriteFrame(t.Context(), f))
			}
			written := make(chan struct{})
			go func() { // once somebody watches
				defer close(written)
				for s.h.Stats().Muxings == 0 {
					time.Sleep(time.Millisecond)
				}
				for _, f := range frames[10:] {
					_ = pub.WriteFrame(t.Context(), f)
				}
			}()
			var bytes int
			get := func(url string) string {
				res, err := browser.Get(srv.URL + "/live/t/" + url)
				require.NoError(t, err)
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", url, b)
				bytes += len(b)
				return string(b)
			}
			uri := lastLine(get("index.m3u8?token=x"))
			require.Contains(t, uri, "token=x")
			<-written
			for range 2 {
				var pl playlist.Media
				require.NoError(t, pl.Unmarshal([]byte(get(uri))))
				get(pl.Map.URI)
				for _, segment := range pl.Segments {
					get(segment.URI)
				}
			}
			require.Len(t, s.played(), 1)
			require.NoError(t, pub.Close())
			require.Eventually(t, func() bool {
				res, err := browser.Get(srv.URL + "/live/t/" + uri)
				require.NoError(t, err)
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				bytes += len(b)
				return strings.Contains(string(b), "ENDLIST")
			}, 10*time.Second, 10*time.Millisecond)
			require.NoError(t, s.h.Shutdown(t.Context()))
			require.Len(t, s.ended(), 1)
			require.EqualValues(t, bytes, s.ended()[0].Bytes)
		})
	}
}

// BenchmarkSegment measures what a request for a segment costs.
func BenchmarkSegment(b *testing.B) {
	s := newSite(b, &Handler{})
	h := s.h
	pub, err := s.hub.Publish(b.Context(), &source.Request{Key: siteKey})
	require.NoError(b, err)
	require.NoError(b, pub.SetTracks([]*codec.Track{siteAudio}, true))
	require.NoError(b, pub.WriteFrame(b.Context(), &codec.Frame{Track: siteAudio, Data: []byte{1}}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/live/t/hls.m3u8", nil))
	for name, set := range map[string]func(*http.Request){
		"cookie":  func(r *http.Request) { r.Header.Set("Cookie", cookieName+"="+firstID(s)) },
		"address": func(r *http.Request) {},
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/live/t/"+fakeSegment+".ts", nil)
			set(r)
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
	require.NoError(b, h.Shutdown(b.Context()))
	require.NoError(b, s.hub.Close())
}

// A discard takes an answer.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// TestOtherTracks: a publisher who returns with other tracks has those only, and
// is shown at once.
func TestOtherTracks(t *testing.T) {
	for _, c := range []struct {
		before, after testmedia.Stream
		shift         int // of the IDs after
		codecs        string
	}{
		{testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, testmedia.Stream{Video: codec.H265, Audio: codec.Opus}, 10, "hvc1"},
		{testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, testmedia.Stream{Video: codec.H264}, 0, "avc1"},
		{testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, testmedia.Stream{Audio: codec.Opus}, 10, "opus"},
		{testmedia.Stream{Audio: codec.AAC}, testmedia.Stream{Video: codec.H264, Audio: codec.Opus}, 10, "avc1"},
	} {
		for _, query := range []string{"", "?container=ts"} {
			t.Run(fmt.Sprint(c.before.Video, c.before.Audio, c.after.Video, c.after.Audio, query), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newWriterSite(t, &Handler{})
					defer s.close()
					stream := c.before
					stream.GOP, stream.Bitrate = time.Second, 200_000
					pub := s.announce(stream)
					viewer := s.client()
					done := make(chan struct{})
					go func() {
						defer close(done)
						play(t.Context(), pub, stream, 8*time.Second)
					}()
					time.Sleep(time.Second)
					viewer.requireStatus(http.StatusOK, "/live/t/index.m3u8"+query)
					<-done
					require.NoError(t, pub.CloseWithError(io.ErrUnexpectedEOF))
					time.Sleep(2 * time.Second)

					stream = c.after
					stream.GOP, stream.Bitrate = time.Second, 200_000
					tracks := map[int]*codec.Track{}
					var all []*codec.Track
					for _, k := range stream.Tracks() {
						other := *k
						other.ID += c.shift
						tracks[k.ID] = &other
						all = append(all, &other)
					}
					pub, err := s.hub.Publish(t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Key: siteKey})
					require.NoError(t, err)
					require.NoError(t, pub.SetTracks(all, true))
					began := time.Now()
					for _, f := range stream.Take(6 * time.Second) {
						time.Sleep(f.DTS - time.Since(began))
						g := *f
						g.Track = tracks[f.Track.ID]
						require.NoError(t, pub.WriteFrame(t.Context(), &g))
					}
					var pl playlist.Media
					media := "/live/t/hls.fmp4.m3u8"
					if query != "" {
						media = "/live/t/hls.m3u8"
					}
					require.NoError(t, pl.Unmarshal(viewer.requireStatus(http.StatusOK, media).Body.Bytes()))
					shown := 0.
					for _, seg := range pl.Segments {
						if seg.DateTime.After(began.Add(-time.Second)) {
							shown += seg.Duration.Seconds()
						}
					}
					require.Greater(t, shown, 3., "of what was published")
					var want []string
					for _, k := range all {
						want = append(want, k.CodecString())
					}
					index := viewer.requireStatus(http.StatusOK, "/live/t/index.m3u8"+query).Body.String()
					require.Contains(t, index, `CODECS="`+strings.Join(want, ",")+`"`)
					require.Contains(t, index, c.codecs)
					require.NoError(t, pub.CloseWithError(nil))
				})
			})
		}
	}
}
