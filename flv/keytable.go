package flv

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
)

// A keyTable is the list of key frames that many writers put into the metadata:
// an object "keyframes" with two arrays of numbers of equal length.
type keyTable struct {
	times  []float64 // seconds, as the tags have them
	places []float64 // of the tags in the file, in bytes
}

// The arrays, as AMF0 writes their names and their type.
var (
	keyTimes  = []byte("\x00\x05times\x0a")
	keyPlaces = []byte("\x00\x0dfilepositions\x0a")
)

// parseKeyTable returns the table in script data; an empty one if there is none. It
// looks for the arrays where a decoder of AMF, with its limits for what strangers
// send, would refuse tables of this length.
func parseKeyTable(b []byte) keyTable {
	_, b, ok := bytes.Cut(b, []byte("\x00\x09keyframes\x03"))
	if !ok {
		return keyTable{}
	}
	t := keyTable{times: numbers(b, keyTimes), places: numbers(b, keyPlaces)}
	if len(t.times) != len(t.places) {
		return keyTable{}
	}
	return t
}

// numbers returns the strict array of numbers of that name (AMF0, 2.12).
func numbers(b, name []byte) []float64 {
	_, b, ok := bytes.Cut(b, name)
	if !ok || len(b) < 4 {
		return nil
	}
	const number = 9 // bytes: the type, 0, and a float64
	n := int64(binary.BigEndian.Uint32(b))
	if b = b[4:]; n*number > int64(len(b)) {
		return nil
	}
	v := make([]float64, n)
	for i := range v {
		if b[0] != 0 {
			return nil
		}
		v[i] = math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
		b = b[number:]
	}
	return v
}

// maxKeys is how many key frames a Writer's table has room for: an hour of one every
// 2 seconds. The room is in the file from the beginning on, 32 KiB.
const maxKeys = 1800

// A keyTableWriter collects the table of key frames. When it is full it leaves out
// every other one.
type keyTableWriter struct {
	times, places []any // float64s
	every, seen   int
}

// add adds a key frame, whose tag is at a place.
func (w *keyTableWriter) add(dts time.Duration, at int64) {
	if w.seen++; w.every > 1 && (w.seen-1)%w.every != 0 {
		return
	}
	if len(w.times) == maxKeys {
		for i := range maxKeys / 2 {
			w.times[i], w.places[i] = w.times[2*i], w.places[2*i]
		}
		w.times, w.places = w.times[:maxKeys/2], w.places[:maxKeys/2]
		w.every = 2 * max(w.every, 1)
	}
	w.times = append(w.times, float64(codec.Ticks(dts, 1000))/1000)
	w.places = append(w.places, float64(at))
}

// properties returns the table, and behind it what fills the rest of its room: an
// array of zeros, which every reader of metadata passes over.
func (w *keyTableWriter) properties() amf.ECMAArray {
	rest := make([]any, 2*(maxKeys-len(w.times)))
	for i := range rest {
		rest[i] = 0
	}
	return amf.ECMAArray{
		{Name: "keyframes", Value: amf.Object{{Name: "times", Value: w.times}, {Name: "filepositions", Value: w.places}}},
		{Name: "spacer", Value: rest},
	}
}
