package testmedia

import (
	"encoding/binary"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/mediakit-go/mediakit/codec"
)

// A headerWriter makes the frame data of a picture in the given GOP: the true
// beginning and size bytes in all.
type headerWriter func(pic picture, gop, size int, p *payload) []byte

// newHeaderWriter returns that for Track (n 0) or Track2 (n 1).
func newHeaderWriter(t *codec.Track, n int) headerWriter {
	pick := func(a, b string) []byte { return unhex([]string{a, b}[n]) }
	switch t.Codec {
	case codec.H264:
		return h264Writer(t)
	case codec.H265:
		return h265Writer(t)
	case codec.AV1:
		return av1Writer(pick(av1Seq1, av1Seq2))
	case codec.VP9:
		return vp9Writer(pick(vp9Key1, vp9Key2))
	case codec.VP8:
		return vp8Writer(pick(vp8Key1, vp8Key2))
	case codec.MJPEG:
		return jpegWriter(t.Width, t.Height)
	}
	panic(fmt.Sprintf("testmedia: no pictures of %v", t.Codec))
}

// h264Writer writes slice_header (H.264, 7.3.3) up to the picture order count.
func h264Writer(t *codec.Track) headerWriter {
	var sps h264.SPS
	if err := sps.Unmarshal(t.ParameterSets()[0]); err != nil {
		panic(err)
	}
	const sliceP, sliceB, sliceI = 5, 6, 7
	return func(pic picture, gop, size int, p *payload) []byte {
		nal, slice := byte(0x41), uint32(sliceP)
		switch {
		case pic.key():
			nal, slice = 0x65, sliceI
		case pic.disposable():
			nal, slice = 0x01, sliceB
		}
		var w BitWriter
		w.U(8, uint32(nal))
		w.UE(0) // first_mb_in_slice
		w.UE(slice)
		w.UE(0) // pic_parameter_set_id
		w.U(int(sps.Log2MaxFrameNumMinus4+4), uint32(pic.refs))
		if pic.key() {
			w.UE(uint32(gop % 2)) // idr_pic_id
		}
		w.U(int(sps.Log2MaxPicOrderCntLsbMinus4+4), uint32(2*pic.display))
		return nalu(w.NALU(), size, p)
	}
}

// h265Writer writes slice_segment_header (H.265, 7.3.6.1) up to the reference
// picture set, which tells the order of pictures.
func h265Writer(t *codec.Track) headerWriter {
	var sps h265.SPS
	if err := sps.Unmarshal(t.ParameterSets()[1]); err != nil {
		panic(err)
	}
	const idr, trailR, trailN = 19, 1, 0
	const sliceB, sliceP, sliceI = 0, 1, 2
	return func(pic picture, _, size int, p *payload) []byte {
		nal, slice := uint32(trailR), uint32(sliceP)
		switch {
		case pic.key():
			nal, slice = idr, sliceI
		case pic.disposable():
			nal, slice = trailN, sliceB
		}
		var w BitWriter
		w.U(16, nal<<9|1)
		w.U(1, 1) // first_slice_segment_in_pic_flag
		if pic.key() {
			w.U(1, 0) // no_output_of_prior_pics_flag
		}
		w.UE(0) // slice_pic_parameter_set_id
		w.UE(slice)
		if pic.key() {
			return nalu(w.NALU(), size, p)
		}
		w.U(int(sps.Log2MaxPicOrderCntLsbMinus4+4), uint32(pic.display))
		w.U(1, 0) // short_term_ref_pic_set_sps_flag; st_ref_pic_set (7.3.7) follows
		if len(sps.ShortTermRefPicSets) > 0 {
			w.U(1, 0) // inter_ref_pic_set_prediction_flag
		}
		w.UE(1) // num_negative_pics
		w.UE(uint32(min(pic.future, 1)))
		w.UE(uint32(pic.past - 1))
		w.U(1, 1)
		if pic.future > 0 {
			w.UE(uint32(pic.future - 1))
			w.U(1, 1)
		}
		return nalu(w.NALU(), size, p)
	}
}

// nalu returns a NAL unit with its length before it, size bytes in all, that
// begins with header.
func nalu(header []byte, size int, p *payload) []byte {
	b := make([]byte, 4, size)
	binary.BigEndian.PutUint32(b, uint32(size-4))
	b = append(b, header...)
	return p.append(b, size-len(b))
}

// av1Writer writes a frame OBU, before it in key pictures the sequence header;
// the frame header begins with show_existing_frame, frame_type and show_frame
// (AV1, 5.9.2).
func av1Writer(sequence []byte) headerWriter {
	return func(pic picture, _, size int, p *payload) []byte {
		b := make([]byte, 0, size+8)
		first := byte(0x3f) // an inter frame, shown
		if pic.key() {
			b, first = append(b, sequence...), 0x1f
		}
		b = append(b, 6<<3|2)
		n := size - len(b) // of the OBU's payload
		b = append(binary.AppendUvarint(b, uint64(n)), first)
		return p.append(b, n-1)
	}
}

// vp9Writer writes the uncompressed header (VP9, 6.2), all of it in key
// pictures.
func vp9Writer(key []byte) headerWriter {
	return func(pic picture, _, size int, p *payload) []byte {
		b := make([]byte, 0, size)
		if pic.key() {
			b = append(b, key...)
		} else {
			b = append(b, 0x86) // marker, profile 0, inter frame, shown
		}
		return p.append(b, size-len(b))
	}
}

// vp8Writer writes the frame tag (RFC 6386, 9.1), in key pictures start code
// and size as well.
func vp8Writer(key []byte) headerWriter {
	return func(pic picture, _, size int, p *payload) []byte {
		b := make([]byte, 0, size)
		tag := uint32(size/2)<<5 | 1<<4 // size of the first partition, show_frame
		if pic.key() {
			b = append(b, key...)
		} else {
			b, tag = append(b, 0, 0, 0), tag|1
		}
		b[0], b[1], b[2] = byte(tag), byte(tag>>8), byte(tag>>16)
		return p.append(b, size-len(b))
	}
}
