package hls

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// Other people's server, which has audio apart with fMP4.
func TestClientWitness(t *testing.T) {
	for name, variant := range map[string]gohlslib.MuxerVariant{
		"TS": gohlslib.MuxerVariantMPEGTS, "fMP4": gohlslib.MuxerVariantFMP4, "low latency": gohlslib.MuxerVariantLowLatency,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				frames := reelStream.Take(30 * time.Second)
				tracks := reelStream.Tracks()
				sets := tracks[0].ParameterSets()
				var config mpeg4audio.AudioSpecificConfig
				require.NoError(t, config.Unmarshal(tracks[1].Config))
				video := &gohlslib.Track{Codec: &codecs.H264{SPS: sets[0], PPS: sets[1]}, ClockRate: 90000}
				audio := &gohlslib.Track{Codec: &codecs.MPEG4Audio{Config: config}, ClockRate: 48000}
				m := &gohlslib.Muxer{Variant: variant, Tracks: []*gohlslib.Track{video, audio}}
				require.NoError(t, m.Start())
				ctx, cancel := context.WithCancel(t.Context())
				var recording sync.WaitGroup
				recording.Go(func() {
					start := time.Now()
					for _, f := range frames {
						if sleep(ctx, time.Until(start.Add(f.DTS))) != nil {
							return
						}
						if f.Track.Kind() == codec.KindVideo {
							var au [][]byte
							for n := range f.NALUs() {
								au = append(au, n)
							}
							if f.Key() {
								au = append(sets[:2:2], au...)
							}
							require.NoError(t, m.WriteH264(video, start.Add(f.DTS), codec.Ticks(f.PTS, 90000), au))
						} else {
							require.NoError(t, m.WriteMPEG4Audio(audio, start.Add(f.DTS), codec.Ticks(f.PTS, 48000), [][]byte{f.Data}))
						}
					}
				})
				r, err := (&Client{HTTP: &http.Client{Transport: handled{m}}}).Open(t.Context(), "http://origin/index.m3u8")
				require.NoError(t, err)
				require.Len(t, r.Tracks(), 2)
				next := map[codec.Kind]int{}
				want := map[codec.Kind][]*codec.Frame{}
				for _, f := range frames {
					want[f.Track.Kind()] = append(want[f.Track.Kind()], f)
				}
				var last *codec.Frame
				for range 800 {
					f, err := r.ReadFrame(t.Context())
					require.NoError(t, err)
					k := f.Track.Kind()
					if _, begun := next[k]; !begun {
						for string(want[k][next[k]].Data) != string(f.Data) {
							next[k]++
						}
					}
					require.Equal(t, want[k][next[k]].Data, f.Data)
					next[k]++
					if last != nil {
						require.GreaterOrEqual(t, f.DTS, last.DTS)
					}
					last = f
				}
				require.Greater(t, next[codec.KindVideo], 200)
				require.Greater(t, next[codec.KindAudio], 400)
				s := r.(*Reader).Stats()
				require.Zero(t, s.Missing+s.Expired+s.Discontinuities)
				require.NoError(t, r.Close())
				cancel()
				recording.Wait()
				m.Close()
			})
		})
	}
}

// A handled is a server without a network.
type handled struct {
	h interface {
		Handle(http.ResponseWriter, *http.Request)
	}
}

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	o := newRemote()
	o.funcs[r.URL.Path] = h.h.Handle
	return o.RoundTrip(r)
}
