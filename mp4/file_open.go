package mp4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	markEvery     = 4096             // steps from one mark to the next
	maxSamplesAll = maxTable / 4     // of a track
	maxFileSample = 64 << 20         // bytes
	maxEarly      = 60 * time.Second // by which presentation may precede decoding
	maxKeys       = 1 << 22          // places to go to
)

// open reads all that is known before the first frame.
func (f *File) open() error {
	boxes := &boxReader{src: f.src, size: f.size}
	f.frags.boxes = boxReader{src: f.src, size: f.size}
	moov, err := findMovie(boxes)
	if err != nil {
		return err
	}
	o := outline{boxes: boxes}
	if err := o.add(moov, 0); err != nil {
		return err
	}
	m, err := parseMovie(o.body)
	if err != nil {
		return moov.wrap(err)
	}
	f.note(m.err)
	for i, in := range m.tracks {
		f.frags.tracks = append(f.frags.tracks, in)
		if in.track == nil {
			continue
		}
		t := &fileTrack{inTrack: in}
		if err := f.openTrack(t, &o, o.tables[i]); err != nil {
			f.note(fmt.Errorf("mp4: track %d: %w", in.number, err))
			in.track = nil
			continue
		}
		f.tracks = append(f.tracks, t)
	}
	f.frags.stop = f.size
	if m.extends {
		f.frags.begin(moov.end)
	} else {
		f.frags.begin(0)
	}
	return f.openTracks()
}

// note keeps the first damage.
func (f *File) note(err error) { f.damage = cmp.Or(f.damage, err) }

// findMovie returns the moov box.
func findMovie(r *boxReader) (fileBox, error) {
	for at := int64(0); at < r.size; {
		x, err := r.top(at)
		switch {
		case err != nil:
			return x, fmt.Errorf("%w; no moov box before it", err)
		case x.kind == typeOf("moov"):
			return x, nil
		case r.boxes > maxBoxes:
			return x, x.wrap(invalid("none of %d boxes is the moov", maxBoxes))
		}
		at = x.end
	}
	return fileBox{}, fmt.Errorf("mp4: %w in %d bytes", short("no moov box"), r.size)
}

// openTrack opens the sample table of a track, if it has one.
func (f *File) openTrack(t *fileTrack, o *outline, boxes stbl) error {
	var err error
	if t.all, err = o.sampleTable(boxes, t.track); err != nil || t.all == nil {
		return err
	}
	return f.walk(t)
}

// walk looks at all samples of t's table and leaves marks. Where samples are not
// in the file the track ends.
func (f *File) walk(t *fileTrack) error {
	s := t.all
	c, err := s.first()
	var total, lowest int64
	steps := 0
	for ; err == nil; err = s.next(&c) {
		if c.at > f.size-c.size {
			f.note(cutSample(c.at, c.size))
			break
		}
		if total += c.size; total > f.size {
			return invalid("%d samples of %d bytes in a file of %d", c.sample+1, total, f.size)
		}
		if c.size > maxFileSample {
			return invalid("sample %d has %d bytes", c.sample+1, c.size)
		}
		if c.time > maxPosition || codec.FromTicks(c.time, int(t.scale)) > maxTime {
			return invalid("sample %d at %d ticks", c.sample+1, c.time)
		}
		if steps%markEvery == 0 {
			t.marks = append(t.marks, c)
		}
		if steps++; steps > maxSamplesAll {
			return invalid("more than %d samples", maxSamplesAll)
		}
		lowest = min(lowest, int64(c.composed))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	s.count = c.sample
	if len(t.marks) == 0 {
		t.all = nil
		return nil
	}
	t.any, t.start, t.end = true, t.marks[0].time, c.time
	return t.setEarly(lowest)
}

// setEarly moves decoding times before the presentation times, which are so many
// ticks before them at most.
func (t *fileTrack) setEarly(lowest int64) error {
	if codec.FromTicks(-lowest, int(t.scale)) > maxEarly {
		return invalid("presentation %d ticks before decoding", -lowest)
	}
	t.early = max(t.early, -lowest)
	return nil
}

// openTracks completes what the sample tables tell of the tracks.
func (f *File) openTracks() error {
	if err := f.index(); err != nil {
		return err
	}
	if f.frags.indexed {
		f.tracks = slices.DeleteFunc(f.tracks, func(t *fileTrack) bool { return !t.any })
	}
	if len(f.tracks) == 0 {
		return cmp.Or(f.damage, unsupported("no track of a known codec with samples"))
	}
	f.spans = spans{src: f.src, size: f.size, kept: make([]span, len(f.tracks))}
	for _, t := range f.tracks {
		t.marks = slices.Clip(t.marks)
		if t.all != nil {
			t.all.release()
		}
	}
	f.keys = slices.Clip(f.keys)
	f.setZero()
	f.setLength()
	f.reset()
	if err := f.doubtKeys(); err != nil {
		return err
	}
	return f.probe()
}

// index finds the key frames of a track: those in its table, and of those in
// fragments as many as may be looked at to open a file.
func (f *File) index() error {
	f.chooseLead(func(t *fileTrack) bool { return t.any || f.frags.first > 0 })
	for f.lead != nil {
		if err := f.indexTable(); err != nil {
			return err
		}
		for !f.frags.indexed && f.frags.boxes.boxes < maxBoxes {
			if err := f.indexFragment(); err != nil {
				return err
			}
		}
		if f.lead.any || !f.frags.indexed {
			break
		}
		f.chooseLead(func(t *fileTrack) bool { return t.any }) // that one has none
		if f.keys = nil; f.lead != nil {
			f.frags.begin(f.frags.first)
		}
	}
	if f.lead == nil {
		return nil
	}
	for _, t := range f.tracks {
		if err := t.setEarly(int64(t.lowest)); err != nil {
			return fmt.Errorf("mp4: track %d: %w", t.number, err)
		}
	}
	if len(f.keys) == 0 { // none is marked
		f.keys = []keyPoint{{time: f.lead.start}}
		if f.lead.all == nil {
			f.keys[0].moof = f.frags.first
		}
	}
	return nil
}

// chooseLead chooses the track whose key frames are the places to go to.
func (f *File) chooseLead(has func(t *fileTrack) bool) {
	f.lead = nil
	for _, t := range f.tracks {
		if has(t) && (f.lead == nil || t.track.Kind() == codec.KindVideo && f.lead.track.Kind() != codec.KindVideo) {
			f.lead = t
		}
	}
}

// indexTable finds the key frames in the table of the lead.
func (f *File) indexTable() error {
	t := f.lead
	if t.all == nil {
		return nil
	}
	audio := t.track.Kind() != codec.KindVideo
	c := t.marks[0]
	var err error
	for err == nil {
		if c.key || audio {
			f.addKey(keyPoint{time: c.time})
		}
		err = t.all.next(&c)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// doubtKeys looks at the second sample of a table in which all are keys. If it is
// none the table was written by somebody who does not tell.
func (f *File) doubtKeys() error {
	t := f.lead
	if t.all == nil || !t.all.allKeys || t.track.Kind() != codec.KindVideo || len(f.keys) < 2 {
		return nil
	}
	c := t.marks[0]
	if err := t.all.next(&c); err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	key, err := f.isKey(t, &c)
	if err != nil || key {
		return err
	}
	f.untold, f.keys = true, f.keys[:1]
	return nil
}

// isKey reads the sample at c. One that is no frame is none.
func (f *File) isKey(t *fileTrack, c *cursor) (bool, error) {
	s := t.sample(c)
	var err error
	if s.data, err = f.spans.get(s.at, s.size); err != nil {
		return false, err
	}
	n, err := s.frame()
	return err == nil && n != nil && n.Key(), nil
}

// findKeys reads all of a file that does not tell which samples are keys.
func (f *File) findKeys(ctx context.Context) error {
	t := f.lead
	c := t.marks[0]
	keys := f.keys
	f.keys = nil
	var err error
	for err == nil {
		var key bool
		if key, err = f.isKey(t, &c); key {
			f.addKey(keyPoint{time: c.time})
		}
		err = cmp.Or(err, ctx.Err(), t.all.next(&c))
	}
	if err != io.EOF {
		f.keys = keys
		return f.told(err)
	}
	f.untold = false
	if len(f.keys) == 0 {
		f.keys = keys
	}
	f.frags.begin(f.frags.first)
	return nil
}

// addKey adds a place to go to, if it is behind the others: of video each, of
// audio one in not quite a second.
func (f *File) addKey(k keyPoint) {
	if len(f.keys) >= maxKeys {
		return
	}
	if n := len(f.keys); n > 0 {
		apart := k.time - f.keys[n-1].time
		if apart <= 0 || f.lead.track.Kind() != codec.KindVideo && apart < int64(f.lead.scale)*9/10 {
			return
		}
	}
	f.keys = append(f.keys, k)
}

// setZero finds the time that is given out as 0.
func (f *File) setZero() {
	first := true
	for _, t := range f.tracks {
		if at := t.dts(t.start); t.any && (first || at < f.zero) {
			f.zero, first = at, false
		}
	}
}

// setLength finds where the last sample ends.
func (f *File) setLength() {
	for _, t := range f.tracks {
		if t.any {
			f.length = max(f.length, t.dts(t.end)-f.zero)
		}
	}
}

// probe reads frames until all is known of the tracks, as far as a Reader does,
// and goes back.
func (f *File) probe() error {
	var bytes int
	for !f.complete() && bytes < probeBytes {
		n, err := f.read()
		if errors.Is(err, io.EOF) || errors.Is(err, ErrInvalid) || err == nil && n.DTS > patience {
			break
		}
		if err != nil {
			return err
		}
		bytes += len(n.Data)
	}
	f.reset()
	return nil
}

// complete reports whether all is known of the tracks.
func (f *File) complete() bool {
	for _, t := range f.tracks {
		if !t.complete() {
			return false
		}
	}
	return true
}
