package codec

import (
	"iter"
	"slices"
)

// ParseSample turns an H.264 or H.265 access unit whose NAL units are prefixed
// by their lengths in lengthSize bytes (1, 2 or 4), as RTMP, FLV and MP4
// deliver it, into frame data: 4-byte lengths, no parameter sets, no access
// unit delimiters, no empty units. Data in that form already is returned as it
// is, without a copy or an allocation; otherwise out is a new slice. It is
// empty if nothing remains.
//
// Parameter sets found inside are taken over: t2 is t, or a new track with
// the same ID if they differ from t.Config (see [Track.Ready] for whether they
// are complete). key tells whether decoding can start here, as [IsKey] does.
//
// A length that exceeds data and a parameter set that cannot be decoded are
// errors wrapping [ErrInvalid]; t2 is then t and out nil.
func ParseSample(t *Track, data []byte, lengthSize int) (t2 *Track, out []byte, key bool, err error) {
	if lengthSize != 1 && lengthSize != 2 && lengthSize != 4 {
		return t, nil, false, invalid("NAL unit lengths of %d bytes", lengthSize)
	}
	u := accessUnit{codec: t.Codec}
	if err := u.check(); err != nil {
		return t, nil, false, err
	}
	for b := data; len(b) > 0; {
		nalu, rest, err := cutNALU(b, lengthSize)
		if err != nil {
			return t, nil, false, err
		}
		u.add(nalu)
		b = rest
	}
	if lengthSize == 4 && u.size == len(data) {
		return t, data, u.key(), nil
	}
	return u.convert(t, func(yield func([]byte) bool) {
		for b := data; len(b) > 0; {
			nalu, rest, err := cutNALU(b, lengthSize)
			if err != nil || !yield(nalu) {
				return
			}
			b = rest
		}
	})
}

// ParseAnnexB does what [ParseSample] does for an access unit in the byte
// stream format, as MPEG-TS, MPEG-PS and cameras deliver it. t may have no
// configuration yet; it comes with the first parameter sets, in as many steps
// as they do. out is always a new slice.
func ParseAnnexB(t *Track, au []byte) (t2 *Track, out []byte, key bool, err error) {
	u := accessUnit{codec: t.Codec}
	nalus := make([][]byte, 0, 8) // to look for start codes is most of the work
	for nalu := range SplitAnnexB(au) {
		u.add(nalu)
		if u.units <= maxKept {
			nalus = append(nalus, nalu)
		}
	}
	if u.units == 0 && len(au) > 0 {
		return t, nil, false, invalid("no NAL unit in %d bytes of Annex B", len(au))
	}
	if u.units > maxKept {
		return u.convert(t, SplitAnnexB(au))
	}
	return u.convert(t, slices.Values(nalus))
}

// maxKept is how many NAL units of an access unit are remembered while it is parsed.
const maxKept = 64

// ParseNALUs does what [ParseSample] does for an access unit that comes as
// separate NAL units, as from RTP.
func ParseNALUs(t *Track, nalus iter.Seq[[]byte]) (t2 *Track, out []byte, key bool, err error) {
	u := accessUnit{codec: t.Codec}
	for nalu := range nalus {
		u.add(nalu)
	}
	return u.convert(t, nalus)
}

// An accessUnit is what one pass over the headers of its NAL units tells.
type accessUnit struct {
	codec    Codec
	size     int // of the units that stay, with 4-byte lengths
	units    int // in all
	sets     int // parameter sets
	random   bool
	recovery bool
}

func (u *accessUnit) add(nalu []byte) {
	u.units++
	r := roleOf(u.codec, nalu)
	switch {
	case r == roleKey:
		u.random = true
	case r == roleSEI && !u.recovery:
		u.recovery = hasRecoveryPoint(nalu)
	case r.isSet():
		u.sets++
	}
	if r.kept() {
		u.size += 4 + len(nalu)
	}
}

func (u *accessUnit) key() bool { return u.random || u.recovery }

func (u *accessUnit) check() error {
	if u.codec != H264 && u.codec != H265 {
		return invalid("%v has no NAL units", u.codec)
	}
	return nil
}

// convert copies the units that stay and merges the others into t. Its receiver
// is a value so that the one of the fast path does not escape.
func (u accessUnit) convert(t *Track, nalus iter.Seq[[]byte]) (*Track, []byte, bool, error) {
	if err := u.check(); err != nil {
		return t, nil, false, err
	}
	t2 := t
	if u.sets > 0 {
		sets := make([][]byte, 0, u.sets)
		for nalu := range nalus {
			if roleOf(u.codec, nalu).isSet() {
				sets = append(sets, nalu)
			}
		}
		var err error
		if t2, err = t.withSets(sets); err != nil {
			return t, nil, false, err
		}
	}
	if u.size == 0 {
		return t2, nil, false, nil
	}
	out := make([]byte, 0, u.size)
	for nalu := range nalus {
		if roleOf(u.codec, nalu).kept() {
			out = appendNALU(out, nalu)
		}
	}
	return t2, out, u.key(), nil
}
