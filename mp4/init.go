package mp4

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/mediakit-go/mediakit/codec"
)

// brands are what a stream conforms to: iso5 has offsets relative to the movie
// fragment, iso6 its decode time.
const brands = "iso6" + "iso5" + "mp41"

// movieScale is the timescale of the movie, in Hz. Its duration and the delay of a
// track are told in it, which is exact for every rate up to it.
const movieScale = videoScale

// languageUnd is "und", each letter in five bits (ISO/IEC 14496-12, 8.4.2.3).
const languageUnd = 0x55c4

// appendInit appends the initialization segment of tracks whose numbers are
// those of their positions, counted from 1.
func appendInit(b []byte, tracks []*codec.Track) []byte {
	b = appendFileType(b, brands, tracks)
	return appendBox(b, "moov", func(b []byte) []byte {
		b = appendMovieHeader(b, uint32(len(tracks)+1), 0)
		for i, t := range tracks {
			b = appendTrack(b, uint32(i+1), t, nil)
		}
		return appendBox(b, "mvex", func(b []byte) []byte {
			for i := range tracks {
				b = appendFullBox(b, "trex", 0, 0, func(b []byte) []byte {
					return appendUint32s(b, uint32(i+1), 1, 0, 0, 0) // description 1; fragments tell the rest
				})
			}
			return b
		})
	})
}

// appendFileType appends an ftyp box: the brands, of which the first is the major
// one, and those of the tracks' codecs.
func appendFileType(b []byte, brands string, tracks []*codec.Track) []byte {
	return appendBox(b, "ftyp", func(b []byte) []byte {
		b = append(b, brands[:4]...)
		b = appendUint32s(b, 1)
		b = append(b, brands...)
		var had []string
		for _, t := range tracks {
			if c, _ := carriageOf(t); c.brand != "" && !slices.Contains(had, c.brand) {
				b, had = append(b, c.brand...), append(had, c.brand)
			}
		}
		return b
	})
}

// appendMovieHeader appends an mvhd box (ISO/IEC 14496-12, 8.2.2) for a movie that
// lasts so many ticks of movieScale; 0 if fragments tell.
func appendMovieHeader(b []byte, nextID uint32, duration int64) []byte {
	return appendTimed(b, "mvhd", 0, duration, []uint32{movieScale}, func(b []byte) []byte {
		b = appendUint32s(b, 1<<16)   // rate 1
		b = appendUint16s(b, 1<<8, 0) // volume 1
		b = appendZeros(b, 8)
		b = appendMatrix(b)
		b = appendZeros(b, 24)
		return appendUint32s(b, nextID)
	})
}

// appendTimed appends a box that begins with the times of creation and
// modification, which are not told, some numbers, and a duration: version 1 if
// that needs 64 bits.
func appendTimed(b []byte, name string, flags uint32, duration int64, numbers []uint32, rest func(b []byte) []byte) []byte {
	version := byte(0)
	if duration > math.MaxUint32 {
		version = 1
	}
	return appendFullBox(b, name, version, flags, func(b []byte) []byte {
		if version == 0 {
			b = appendUint32s(appendUint32s(b, 0, 0), numbers...)
			return rest(binary.BigEndian.AppendUint32(b, uint32(duration)))
		}
		b = appendUint32s(appendUint32s(b, 0, 0, 0, 0), numbers...)
		return rest(binary.BigEndian.AppendUint64(b, uint64(duration)))
	})
}

// appendMatrix appends the transformation that changes nothing.
func appendMatrix(b []byte) []byte {
	return appendUint32s(b, 1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30)
}

// appendTrack appends a trak box (ISO/IEC 14496-12, 8.3) with the samples of l;
// nil if fragments have them.
func appendTrack(b []byte, id uint32, t *codec.Track, l *listing) []byte {
	video := t.Kind() == codec.KindVideo
	return appendBox(b, "trak", func(b []byte) []byte {
		b = appendTrackHeader(b, id, t, l.movieDuration())
		b = l.appendEdits(b)
		return appendBox(b, "mdia", func(b []byte) []byte {
			b = appendTimed(b, "mdhd", 0, l.duration(), []uint32{uint32(scaleOf(t))}, func(b []byte) []byte {
				return appendUint16s(b, languageUnd, 0)
			})
			handler, name := "soun", "sound\x00"
			if video {
				handler, name = "vide", "video\x00"
			}
			b = appendFullBox(b, "hdlr", 0, 0, func(b []byte) []byte {
				b = appendZeros(b, 4)
				b = append(b, handler...)
				b = appendZeros(b, 12)
				return append(b, name...)
			})
			return appendBox(b, "minf", func(b []byte) []byte {
				if video {
					b = appendFullBox(b, "vmhd", 0, 1, func(b []byte) []byte { return appendZeros(b, 8) })
				} else {
					b = appendFullBox(b, "smhd", 0, 0, func(b []byte) []byte { return appendZeros(b, 4) })
				}
				b = appendBox(b, "dinf", func(b []byte) []byte {
					return appendFullBox(b, "dref", 0, 0, func(b []byte) []byte {
						b = appendUint32s(b, 1)
						return appendFullBox(b, "url ", 0, 1, nil) // in this file
					})
				})
				return appendBox(b, "stbl", func(b []byte) []byte {
					b = appendFullBox(b, "stsd", 0, 0, func(b []byte) []byte {
						b = appendUint32s(b, 1)
						return appendSampleEntry(b, t)
					})
					return l.appendTables(b)
				})
			})
		})
	})
}

// appendTrackHeader appends a tkhd box (ISO/IEC 14496-12, 8.3.2).
func appendTrackHeader(b []byte, id uint32, t *codec.Track, duration int64) []byte {
	const enabledInMovie = 3
	return appendTimed(b, "tkhd", enabledInMovie, duration, []uint32{id, 0}, func(b []byte) []byte {
		b = appendZeros(b, 8+2+2) // layer and group
		volume := uint16(0)
		if t.Kind() == codec.KindAudio {
			volume = 1 << 8
		}
		b = appendUint16s(b, volume, 0)
		b = appendMatrix(b)
		return appendUint32s(b, uint32(t.Width)<<16, uint32(t.Height)<<16)
	})
}
