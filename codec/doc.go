// Package codec is the currency of MediaKit: what every protocol is converted
// to and from.
//
// A [Track] describes one elementary stream, a [Frame] is one access unit of
// it. Frame.Data has the form ISO base media files store (ISO/IEC 14496-12 and
// -15): length-prefixed NAL units, AAC without ADTS, AV1 temporal units without
// delimiters. What a wire delivers becomes that form, and the parameters inside
// become a track, in one call:
//
//	track := &codec.Track{ID: 1, Codec: codec.H264} // nothing known yet
//	track, data, key, err := codec.ParseAnnexB(track, accessUnit)
//	f := &codec.Frame{Track: track, DTS: dts, PTS: pts, Data: data}
//
// [ParseSample] does this for length-prefixed units, [ParseFrame] for the other
// codecs, [TrackFromConfig] for a configuration that comes apart from the
// frames, [SplitADTS] and [StreamMuxConfig] for the wrappings of AAC.
// [AVCToAnnexB] and [AppendADTS] lead back; [DTSExtractor] makes the decoding
// times that RTP does not carry.
//
// Times are time.Duration; ticks exist on wires only and cross [Ticks] and
// [FromTicks]. Everything read is checked: a damaged length or parameter set is
// an error wrapping [ErrInvalid]. The package knows no protocol, decodes no
// picture and starts no goroutine.
//
// Reading: track.go, frame.go, sample.go, sets.go, config.go, then a file for
// each codec.
package codec
