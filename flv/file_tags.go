package flv

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/mediakit-go/mediakit/internal/keysearch"
)

// How a File looks at tags, in bytes.
const (
	tagAhead   = 4 << 10  // read from the end of a tag on
	seekAhead  = 64 << 10 // read in search for a tag
	bodyStart  = 16       // of a body, what tells about it
	maxLastTag = 64 << 20 // at the end of a file, in which there must be a tag
	manyTags   = 4        // in a row are no coincidence
)

// A fileTag is a tag in a file, as far as its header and the beginning of its body
// tell.
type fileTag struct {
	at   int64
	typ  TagType
	size int
	ms   uint32
	next int64 // where the next one begins
	sure bool  // the size behind it is right

	start [bodyStart]byte // of the body
	known int             // bytes of start
}

// content tells what is in the tag.
func (t *fileTag) content() (c content, key bool) { return contentOf(t.typ, t.start[:t.known]) }

// tag returns the tag at a place; false if there is none that is whole before end.
// The size behind it must be right, or what follows it look like a tag.
func (f *File) tag(at, end int64) (t fileTag, ok bool, err error) {
	if end-at < tagHeader+tagSize {
		return t, false, nil
	}
	b, err := f.scan.Bytes(at, tagHeader+bodyStart, tagAhead)
	if err != nil || len(b) < tagHeader {
		return t, false, err
	}
	t.at, t.size = at, int(binary.BigEndian.Uint32(b)&maxTag)
	t.typ, t.ms = TagType(b[0]), uint32(b[7])<<24|uint32(b[4])<<16|uint32(b[5])<<8|uint32(b[6])
	t.next = at + tagHeader + int64(t.size) + tagSize
	if b[0]&0xe0 != 0 || b[0] == 0 || t.size > defaultMaxTag || t.next > end { // zeros are what was never written
		return t, false, nil
	}
	t.known = copy(t.start[:], b[tagHeader:min(len(b), tagHeader+t.size)])
	b, err = f.scan.Bytes(t.next-tagSize, tagSize, tagAhead)
	if err != nil || len(b) < tagSize {
		return t, false, err
	}
	if t.sure = isSize(b, t.size); t.sure {
		return t, true, nil
	}
	if t.next == end {
		return t, b[0]|b[1]|b[2]|b[3] != 0, nil
	}
	b, err = f.scan.Bytes(t.next, tagHeader, tagAhead)
	return t, err == nil && len(b) >= tagHeader && looksLikeTag(b), err
}

// findTag returns where the first tag begins in [from, to), in a file that ends at
// end. What looks like one is believed if another follows, or several if the size
// behind it is wrong.
func (f *File) findTag(ctx context.Context, from, to, end int64) (at int64, ok bool, err error) {
	for at = from; at < to; {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		b, err := f.seek.Bytes(at, tagHeader, seekAhead)
		if err != nil || len(b) < tagHeader {
			return 0, false, err
		}
		for ; len(b) >= tagHeader && at < to; at, b = at+1, b[1:] {
			if !beginsTag(b) {
				continue
			}
			t, ok, err := f.tag(at, end)
			if err != nil {
				return 0, false, err
			}
			if ok {
				ok, err = f.isFollowed(t, end)
			}
			if err != nil || ok {
				return at, ok, err
			}
		}
	}
	return 0, false, nil
}

// isFollowed reports whether another tag follows t, or nothing. Behind tags with the
// wrong size there must be more.
func (f *File) isFollowed(t fileTag, end int64) (bool, error) {
	for i := range manyTags {
		b, err := f.scan.Bytes(t.next, tagHeader, tagAhead)
		switch {
		case err != nil:
			return false, err
		case t.next == end, len(b) < tagHeader:
			return t.sure || i > 0, nil
		case t.sure || !beginsTag(b):
			return beginsTag(b), nil
		}
		var ok bool
		if t, ok, err = f.tag(t.next, end); !ok {
			return false, err
		}
	}
	return true, nil
}

// beginsTag reports whether b may begin with a tag that has data.
func beginsTag(b []byte) bool { return looksLikeTag(b) && b[1]|b[2]|b[3] != 0 }

// lastTag returns where the last whole tag ends.
func (f *File) lastTag(size int64) (end int64, err error) {
	ctx := context.Background()
	for n := int64(seekAhead); ; n *= 4 {
		at, ok := max(size-n, f.from), true
		if at > f.from {
			if at, ok, err = f.findTag(ctx, at, size, size); err != nil {
				return 0, err
			}
		}
		if !ok {
			if n >= maxLastTag {
				return size, nil
			}
			continue
		}
		for {
			t, ok, err := f.tag(at, size)
			if err != nil {
				return 0, err
			}
			if !ok {
				return at, nil
			}
			at = t.next
		}
	}
}

// scanTags calls fn for the frames in a part of the file. It skips damage.
func (f *File) scanTags(ctx context.Context, from, to int64, fn func(keysearch.Entry) bool) error {
	at := max(from, f.from)
	for found := at == f.from; at < to; found = false {
		if !found {
			var err error
			if at, found, err = f.findTag(ctx, at, to, f.end); err != nil || !found {
				return err
			}
		}
		for at < to {
			if err := ctx.Err(); err != nil {
				return err
			}
			t, ok, err := f.tag(at, f.end)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			at = t.next
			content, key := t.content()
			if content == contentConfig {
				f.note(&t)
			}
			if content == contentFrame && !fn(f.entry(&t, key)) {
				return nil
			}
		}
	}
	return nil
}

func (f *File) entry(t *fileTag, key bool) keysearch.Entry {
	return keysearch.Entry{At: t.at, Time: f.timeOf(t.ms), Track: int(t.typ), Sought: t.typ == f.sought, Key: t.typ == f.sought && key}
}

// note remembers where a sequence header is.
func (f *File) note(t *fileTag) {
	i, known := slices.BinarySearchFunc(f.configs, t.at, func(c configTag, at int64) int { return int(min(max(c.at-at, -1), 1)) })
	if !known {
		f.configs = slices.Insert(f.configs, i, configTag{t.at, t.typ})
	}
}

// withConfigs returns where the sequence headers begin that stand right before a
// tag.
func (f *File) withConfigs(at int64) (int64, error) {
	for at-f.from >= tagHeader+tagSize {
		b, err := f.scan.Bytes(at-tagSize, tagSize, 0)
		if err != nil || len(b) < tagSize {
			return at, err
		}
		before := at - tagSize - int64(binary.BigEndian.Uint32(b))
		if before < f.from {
			return at, nil
		}
		t, ok, err := f.tag(before, f.end)
		if err != nil {
			return at, err
		}
		if content, _ := t.content(); !ok || t.next != at || content != contentConfig {
			return at, nil
		}
		at = before
	}
	return at, nil
}
