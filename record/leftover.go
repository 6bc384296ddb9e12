package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// leftovers returns the hidden files below dir, in which there are recordings only.
func leftovers(v fs.FS, dir string) (names []string) {
	_ = fs.WalkDir(v, dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has just gone, or is not ours to read
		}
		_, ok := formatOf(name)
		ok = ok || strings.HasSuffix(name, temporary(MP4.extension())) || strings.HasSuffix(name, locked(HLS.extension()))
		if ok && strings.HasPrefix(e.Name(), ".") && e.Type().IsRegular() {
			names = append(names, name)
		}
		return nil
	})
	return names
}

// recoverFile gives a hidden file its name, as far as it plays; it is removed if it
// does not. The File has no name then, and none without an error if somebody writes
// the file; force says that nobody does.
func recoverFile(d disk, name string, force, sync bool) (File, error) {
	f, err := d.adopt(name, force)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil // it has just gone
	}
	if err != nil || f == nil {
		return File{}, err
	}
	var file File
	format, ok := formatOf(name)
	switch {
	case !ok: // the copy of a file that is there, or the lock of a playlist that is not
		err = errors.Join(f.Close(), d.remove(name))
		if playlist, ok := strings.CutSuffix(name, locked("")); ok && !d.exists(playlist) && !d.exists(shown(playlist)) {
			err = errors.Join(err, removeRecording(d, playlist))
		}
		return File{}, err
	case format.segmented():
		file, err = readPlaylist(d, name)
	default:
		file, err = repair(f, format)
	}
	if err == nil && sync && file.Duration > 0 {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return File{}, err
	}
	if file.Duration == 0 {
		return File{}, removeRecording(d, name)
	}
	file.Recovered = true
	file.Name, err = appear(d, name, sync)
	if format.segmented() && err == nil && d.exists(locked(name)) {
		err = d.remove(locked(name))
	}
	file.Path = d.path(file.Name)
	return file, err
}

// removeRecording removes a file, or a playlist with its segments.
func removeRecording(d disk, name string) error {
	if format, _ := formatOf(name); format.segmented() {
		dir, base := path.Split(name)
		return hls.RemoveRecording(d.path(dir), strings.TrimPrefix(base, "."))
	}
	return d.remove(name)
}

// appear renames a hidden file. Its name may be taken, but for that of a playlist,
// which has its segments' folder.
func appear(d disk, from string, sync bool) (string, error) {
	to := shown(from)
	ext := path.Ext(to)
	for taken := range maxNames {
		name := strings.TrimSuffix(to, ext) + number(taken) + ext
		if !d.exists(name) {
			return name, d.rename(from, name, sync)
		}
	}
	return "", fmt.Errorf("%s: %w", to, fs.ErrExist)
}

// repair cuts f where it does not play any more.
func repair(f file, format Format) (File, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return File{}, err
	}
	var whole int64
	switch format {
	case MP4:
		whole, err = wholeBoxes(f, size)
	case FLV:
		whole, err = wholeTags(f, size)
	default:
		whole, err = wholePackets(f, size)
	}
	if err == nil && whole < size {
		err = f.Truncate(whole)
	}
	if err != nil || whole < minSize {
		return File{}, err
	}
	file := File{Size: whole, format: format}
	var r interface {
		source.Reader
		Duration() time.Duration
	}
	in := struct{ io.ReaderAt }{f} // that it is not closed
	switch format {
	case MP4:
		r, err = mp4.NewFile(in, whole)
	case FLV:
		r, err = flv.NewFile(in, whole)
	default:
		r, err = ts.NewFile(in, whole)
	}
	if err != nil {
		return File{}, nil // it does not play
	}
	file.Duration, file.Tracks = r.Duration(), r.Tracks()
	return file, r.Close()
}

// wholeBoxes returns where the last box of an MP4 file ends that plays: a fragment
// with all of its media, or whatever is complete besides (ISO/IEC 14496-12, 4.2).
// Without a movie nothing plays.
func wholeBoxes(r io.ReaderAt, size int64) (end int64, err error) {
	var head [16]byte
	movie := false
	for at := int64(0); at+8 <= size; {
		n, err := r.ReadAt(head[:min(16, size-at)], at)
		if n < 8 {
			return 0, err
		}
		length, least, kind := int64(binary.BigEndian.Uint32(head[:])), int64(8), string(head[4:8])
		if length == 1 && n == 16 {
			length, least = int64(binary.BigEndian.Uint64(head[8:])), 16
		}
		if length < least || length > size-at {
			break
		}
		at += length
		if kind == "moof" || kind == "moov" && movie { // a movie box more is one too many: it was being finished
			continue
		}
		movie = movie || kind == "moov"
		end = at
	}
	if !movie {
		return 0, nil
	}
	return end, nil
}

// wholeTags returns where the last complete tag of an FLV file ends (FLV 10.1,
// annex E.3).
func wholeTags(r io.ReaderAt, size int64) (end int64, err error) {
	var head [13]byte
	if n, err := r.ReadAt(head[:], 0); n < 13 {
		if err == io.EOF {
			err = nil
		}
		return 0, err
	}
	end = int64(binary.BigEndian.Uint32(head[5:])) + 4
	if string(head[:3]) != "FLV" || end < int64(len(head)) || end > size {
		return 0, nil
	}
	for end+11 <= size {
		if _, err := r.ReadAt(head[:11], end); err != nil {
			return 0, err
		}
		next := end + 11 + int64(binary.BigEndian.Uint32(head[:])&0xffffff) + 4
		if next > size {
			break
		}
		end = next
	}
	return end, nil
}

// tsPacket is the length of a packet of a transport stream (ISO/IEC 13818-1,
// 2.4.3.2).
const tsPacket = 188

// wholePackets returns where the last frame of a transport stream begins: of that,
// packets may be missing, but of none before, as [ts.Writer] does not interleave
// them.
func wholePackets(r io.ReaderAt, size int64) (end int64, err error) {
	var b [tsPacket]byte
	for at := size - size%tsPacket - tsPacket; at >= 0; at -= tsPacket {
		if _, err := r.ReadAt(b[:], at); err != nil {
			return 0, err
		}
		payload := b[4:]
		if b[3]&0x20 != 0 { // an adaptation field
			payload = payload[min(1+int(b[4]), len(payload)):]
		}
		if b[0] == 0x47 && b[1]&0x40 != 0 && b[3]&0x10 != 0 && bytes.HasPrefix(payload, []byte{0, 0, 1}) {
			return at, nil
		}
	}
	return 0, nil
}

// readPlaylist returns length and size of what a media playlist lists (RFC 8216,
// section 4.3).
func readPlaylist(d disk, name string) (file File, err error) {
	v, err := d.view()
	if err != nil {
		return file, err
	}
	defer v.Close()
	text, err := fs.ReadFile(v, name)
	if err != nil {
		return file, err
	}
	file.Size, file.format = int64(len(text)), HLS
	count := func(uri string) {
		if uri = path.Join(path.Dir(name), uri); fs.ValidPath(uri) {
			if info, err := fs.Stat(v, uri); err == nil {
				file.Size += info.Size()
			}
		}
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if length, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			length, _, _ = strings.Cut(length, ",")
			if s, err := strconv.ParseFloat(length, 64); err == nil && s > 0 {
				file.Duration += time.Duration(s * float64(time.Second))
			}
		} else if attributes, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); ok {
			file.format = HLSFMP4
			uri, _, _ := strings.Cut(attributes, `"`)
			count(uri)
		} else if line != "" && line[0] != '#' {
			count(line)
		}
	}
	return file, nil
}

// Recover finishes what a process that was killed has left below Root: hidden files
// and folders are cut where they do not play any more and get their names; each is
// told of by EventFinished. Where nothing plays it is removed. What another process
// still writes is left alone; on systems that do not tell, what has changed within
// 15 seconds. [Recorders.Serve] calls it.
func (rs *Recorders) Recover(ctx context.Context) ([]File, error) {
	d := rs.root()
	v, err := d.view()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	defer v.Close()
	var files []File
	var errs []error
	for _, dir := range rs.folders(v) {
		for _, name := range leftovers(v, dir) {
			if ctx.Err() != nil {
				return files, context.Cause(ctx)
			}
			if rs.open.has(d.path(name)) {
				continue
			}
			file, err := recoverFile(d, name, false, !rs.NoSync)
			if err != nil {
				errs = append(errs, fmt.Errorf("record: recover %s: %w", name, err))
			}
			if file.Name == "" {
				continue
			}
			files = append(files, file)
			rs.tell(rs.recovered(file))
		}
	}
	return files, errors.Join(errs...)
}
