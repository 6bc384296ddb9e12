package mp4

import (
	"encoding/binary"
	"math"

	"github.com/mediakit-go/mediakit/codec"
)

// Lengths of the boxes of a fragment (ISO/IEC 14496-12, 8.8).
const (
	mfhdLen = boxHeader + fullHeader + 4
	tfhdLen = boxHeader + fullHeader + 4
	tfdtLen = boxHeader + fullHeader + 8
	trunLen = boxHeader + fullHeader + 4 + 4 // without its samples
	runLen  = 4 + 4 + 4 + 4                  // of a sample: duration, size, flags, composition offset
)

// Flags of a tfhd box (ISO/IEC 14496-12, 8.8.7).
const (
	tfhdBaseOffset  = 0x000001
	tfhdDescription = 0x000002
	tfhdDuration    = 0x000008
	tfhdSize        = 0x000010
	tfhdFlags       = 0x000020
	tfhdBaseIsMoof  = 0x020000
)

// Flags of a trun box (ISO/IEC 14496-12, 8.8.8).
const (
	trunOffset     = 0x001
	trunFirstFlags = 0x004
	trunDuration   = 0x100
	trunSize       = 0x200
	trunFlags      = 0x400
	trunComposed   = 0x800
)

// Flags of a sample (ISO/IEC 14496-12, 8.8.3.1).
//
//	4 bits: reserved; 2: is_leading; 2: depends_on; 2: is_depended_on
//	2: has_redundancy; 3: padding; 1: is_non_sync; 16: degradation priority
const (
	flagsKey        = 2 << 24       // depends on no other
	flagsInter      = 1<<24 | 1<<16 // depends on others
	flagsDisposable = 2 << 22       // no other depends on it
	maskDisposable  = 3 << 22
)

// sampleFlags returns the flags of f.
func sampleFlags(f *codec.Frame) uint32 {
	flags := uint32(flagsInter)
	if f.Key() || f.Track.Kind() == codec.KindAudio {
		flags = flagsKey
	}
	if f.Has(codec.FlagDisposable) {
		flags |= flagsDisposable
	}
	return flags
}

// fragmentLen returns how long the next fragment is, and its moof box.
func (m *Muxer) fragmentLen() (moof, all int) {
	moof = boxHeader + mfhdLen
	for _, t := range m.tracks {
		if len(t.ready) == 0 {
			continue
		}
		moof += boxHeader + tfhdLen + tfdtLen + trunLen + runLen*len(t.ready)
		for _, s := range t.ready {
			all += t.sizeOf(s)
		}
	}
	return moof, all + moof + boxHeader
}

// AppendFragment appends a fragment, moof and mdat, of the frames that are
// ready; nothing if none is. It begins with those of the first track; each
// track's are together.
func (m *Muxer) AppendFragment(dst []byte) []byte {
	if m.ready == 0 {
		return dst
	}
	dst, _ = m.appendHead(dst)
	for _, t := range m.tracks {
		for _, s := range t.ready {
			dst = append(dst, t.setsOf(s.frame)...)
			dst = append(dst, s.frame.Data...)
		}
	}
	m.forget()
	return dst
}

// appendHead appends what a fragment begins with: its moof box and the header of
// mdat. all is how long the fragment is.
func (m *Muxer) appendHead(dst []byte) (b []byte, all int) {
	moof, all := m.fragmentLen()
	m.number++
	dst = appendHeader(dst, moof, "moof")
	dst = appendHeader(dst, mfhdLen, "mfhd")
	dst = appendUint32s(dst, 0, m.number)
	offset := moof + boxHeader
	for i, t := range m.tracks {
		if len(t.ready) > 0 {
			dst = m.appendTraf(dst, uint32(i+1), t, offset)
			for _, s := range t.ready {
				offset += t.sizeOf(s)
			}
		}
	}
	return appendHeader(dst, all-moof, "mdat"), all
}

// forget lets go of the frames that are ready, after a fragment of them was made.
func (m *Muxer) forget() {
	for _, t := range m.tracks {
		for _, s := range t.ready {
			m.bytes -= int64(len(s.frame.Data))
		}
		clear(t.ready)
		t.ready = t.ready[:0]
	}
	m.ready = 0
}

// sizeOf returns how many bytes s has.
func (t *muxTrack) sizeOf(s sample) int { return len(t.setsOf(s.frame)) + len(s.frame.Data) }

// composedOf returns the presentation minus the decode time of s, in ticks.
func (m *Muxer) composedOf(t *muxTrack, s sample) int32 {
	composed := codec.Ticks(s.frame.PTS+m.shift, t.scale) - s.dts
	return int32(min(max(composed, math.MinInt32), math.MaxInt32))
}

// appendHeader appends the header of a box of n bytes.
func appendHeader(b []byte, n int, name string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return append(b, name...)
}

// appendTraf appends a traf box of the samples that are ready, whose data begin
// at offset, counted from that of the moof.
func (m *Muxer) appendTraf(b []byte, id uint32, t *muxTrack, offset int) []byte {
	trun := trunLen + runLen*len(t.ready)
	b = appendHeader(b, boxHeader+tfhdLen+tfdtLen+trun, "traf")
	b = appendHeader(b, tfhdLen, "tfhd")
	b = appendUint32s(b, tfhdBaseIsMoof, id)
	b = appendHeader(b, tfdtLen, "tfdt")
	b = appendUint32s(b, 1<<24)
	b = binary.BigEndian.AppendUint64(b, uint64(t.ready[0].dts))
	b = appendHeader(b, trun, "trun")
	b = appendUint32s(b, 1<<24|trunOffset|trunDuration|trunSize|trunFlags|trunComposed,
		uint32(len(t.ready)), uint32(offset))
	for _, s := range t.ready {
		b = appendUint32s(b, s.duration, uint32(t.sizeOf(s)), sampleFlags(s.frame), uint32(m.composedOf(t, s)))
	}
	return b
}
