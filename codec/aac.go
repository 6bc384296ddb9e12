package codec

import (
	"slices"
)

// aacRates are the sampling frequencies by index (ISO/IEC 14496-3, table 1.18).
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// aacChannels are the channel counts by channel configuration (ISO/IEC
// 14496-3, table 1.19); 0 where the stream itself tells or none is defined.
var aacChannels = [16]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 13: 24, 14: 8}

// escapeRate is the index that a rate written in full follows.
const escapeRate = 15

// The audio object types that matter here (ISO/IEC 14496-3, table 1.17).
const (
	aotMain  = 1
	aotLC    = 2
	aotSSR   = 3
	aotLTP   = 4
	aotSBR   = 5
	aotER    = 17 // LC, the first of the error resilient types
	aotERLTP = 19
	aotLD    = 23
	aotPS    = 29
	aotELD   = 39
	aotUSAC  = 42
)

// syncExtension announces SBR behind a configuration that old decoders
// understand (ISO/IEC 14496-3, 1.6.2.1).
const syncExtension = 0x2b7

// An asc is what an AudioSpecificConfig tells (ISO/IEC 14496-3, 1.6.2.1).
type asc struct {
	object    int // audio object type as written: aotSBR and aotPS for HE-AAC
	core      int // audio object type of the core coder, as object otherwise
	rateIndex int // of the core coder; escapeRate if the rate is not in the table
	rate      int // Hz, of the core coder
	channels  int // channel configuration; 0: a program config element tells
	short     bool
	sbr       bool
}

// readASC reads an AudioSpecificConfig up to what depends on the core coder.
func readASC(r *bitReader) (a asc) {
	object := r.object()
	rate := func() (index, hz int) {
		index = int(r.u(4))
		if index < len(aacRates) {
			return index, aacRates[index]
		}
		if index == escapeRate {
			return index, int(r.u(24))
		}
		return index, 0
	}
	a.object, a.core = object, object
	a.rateIndex, a.rate = rate()
	a.channels = int(r.u(4))
	if object == aotSBR || object == aotPS {
		rate() // of the output
		a.core, a.sbr = r.object(), true
	}
	return a
}

// object reads an audio object type (ISO/IEC 14496-3, table 1.16).
func (r *bitReader) object() int {
	if v := int(r.u(5)); v != 31 {
		return v
	}
	return 32 + int(r.u(6))
}

// parseASC reads an AudioSpecificConfig as far as asc needs it.
func parseASC(b []byte) (asc, error) {
	r := bitReader{b: b}
	a := readASC(&r)
	if r.over {
		return a, short("AudioSpecificConfig")
	}
	if a.object == 0 || a.core == 0 || a.rate == 0 {
		return a, invalid("AudioSpecificConfig: object type %d, %d Hz", a.object, a.rate)
	}
	if a.core < aotER && a.core != aotSBR {
		a.short = r.flag() // frameLengthFlag
		if r.flag() {      // dependsOnCoreCoder
			r.u(14)
		}
		if !r.flag() && a.channels != 0 && !a.sbr && r.left() >= 17 && r.u(11) == syncExtension && r.object() == aotSBR {
			a.sbr = r.flag()
		}
	} else if a.core == aotLD || a.core == aotELD {
		a.short = r.flag()
	}
	return a, nil
}

// append appends the AudioSpecificConfig of a plain AAC stream.
func (a asc) append(b []byte) []byte {
	var w bitWriter
	w.u(5, uint32(a.core))
	w.u(4, uint32(a.rateIndex))
	if a.rateIndex == escapeRate {
		w.u(24, uint32(a.rate))
	}
	w.u(4, uint32(a.channels))
	w.u(3, 0) // GASpecificConfig (4.4.1): 1024 samples, no core coder, no extension
	return append(b, w.b...)
}

// samples returns how many a frame of the core coder has per channel.
func (a asc) samples() int {
	n := 1024
	if a.core == aotLD || a.core == aotELD {
		n = 512
	}
	if a.short {
		n -= n / 16 // 960, 480
	}
	return n
}

// NewAACTrack returns the track of an AAC-LC stream. channels is 1 to 6 or 8.
// Errors wrap [ErrInvalid].
func NewAACTrack(id, sampleRate, channels int) (*Track, error) {
	config := slices.Index(aacChannels[:8], channels)
	if config < 1 || sampleRate <= 0 || sampleRate >= 1<<24 {
		return nil, invalid("AAC with %d channels at %d Hz", channels, sampleRate)
	}
	a := asc{core: aotLC, rate: sampleRate, channels: config, rateIndex: slices.Index(aacRates[:], sampleRate)}
	if a.rateIndex < 0 {
		a.rateIndex = escapeRate
	}
	return trackFromASC(id, a.append(nil))
}

// trackFromASC takes rate and channels of the core coder, whose frames have
// 1024 samples; the output of HE-AAC may have twice as many of both.
func trackFromASC(id int, config []byte) (*Track, error) {
	a, err := parseASC(config)
	if err != nil {
		return nil, err
	}
	return &Track{
		ID: id, Codec: AAC, Config: slices.Clone(config),
		ClockRate: a.rate, SampleRate: a.rate, Channels: aacChannels[a.channels],
	}, nil
}

// silentAAC is a raw_data_block (ISO/IEC 14496-3, 4.4.2.1): a single channel
// element without a single spectral line, then ID_END.
var silentAAC = [...]byte{0, 0, 0, 7}

// NewSilentAACTrack returns the track of [SilentAACFrame]: AAC-LC, 8000 Hz, one
// channel, marked Synthetic.
func NewSilentAACTrack(id int) *Track {
	return &Track{
		ID: id, Codec: AAC, Config: []byte{0x15, 0x88},
		ClockRate: 8000, SampleRate: 8000, Channels: 1, Synthetic: true,
	}
}

// SilentAACFrame returns a frame of silence for any mono AAC-LC track; on that
// of [NewSilentAACTrack] it lasts 128 ms. The slice is the caller's.
func SilentAACFrame() []byte { return slices.Clone(silentAAC[:]) }
