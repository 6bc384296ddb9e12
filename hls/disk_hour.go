package hls

import (
	"bytes"
	slashpath "path"
	"strconv"
	"strings"
	"time"
)

const (
	hourPlaylist = "vod.m3u8" // in the folder of an hour
	maxHour      = 8 << 20    // bytes of one that is continued
)

// A keptSegment is what the playlist of an hour says of a segment.
type keptSegment struct {
	name     string // with the folder
	duration time.Duration
	wall     time.Time
	discont  bool
	init     *file // nil if it has none
}

// keep returns what is said of s.
func keep(s *segment) *keptSegment {
	return &keptSegment{s.name, s.duration, s.wall, s.discont, s.init}
}

// An hourList is the playlist of the segments that were begun in one hour. It is
// whole at any time: of type VOD, with its end. A Writer that comes after another in
// the same hour continues it.
type hourList struct {
	folder string // "" before the first segment
	target int    // seconds
	lines  []byte
	init   *file // in force
	gap    bool  // the next segment does not continue the one before
}

// add lists a segment that has been written.
func (l *hourList) add(dir folder, s *keptSegment) error {
	folder, name := slashpath.Split(s.name)
	if folder != l.folder {
		*l = hourList{folder: folder, gap: l.gap && l.folder != ""}
		l.resume(dir)
	}
	if (s.discont || l.gap) && len(l.lines) > 0 {
		l.lines = append(l.lines, "#EXT-X-DISCONTINUITY\n"...)
	}
	if s.init != nil && s.init != l.init {
		// A copy for the hour, which does not go with the live stream's.
		minute, _, _ := strings.Cut(name, "_")
		init := minute + "_init" + FMP4.extension()
		if err := dir.write(folder+init, s.init.content.Load().data); err != nil {
			l.gap = true
			return err
		}
		l.init = s.init
		l.lines = append(append(append(l.lines, `#EXT-X-MAP:URI="`...), init...), "\"\n"...)
	}
	l.gap = false
	l.target = max(l.target, int(s.duration.Round(time.Second)/time.Second), 1)
	l.lines = append(l.lines, "#EXT-X-PROGRAM-DATE-TIME:"...)
	l.lines = s.wall.UTC().AppendFormat(l.lines, "2006-01-02T15:04:05.000Z\n")
	l.lines = appendSeconds(append(l.lines, "#EXTINF:"...), s.duration)
	l.lines = append(append(append(l.lines, ",\n"...), name...), '\n')
	return dir.write(folder+hourPlaylist, l.text(s.init != nil))
}

// text returns the playlist.
func (l *hourList) text(mapped bool) []byte {
	version := 4
	if mapped {
		version = 7
	}
	b := appendTag(nil, "#EXTM3U\n#EXT-X-VERSION:", uint64(version))
	b = appendTag(b, hourTarget, uint64(l.target))
	b = append(b, "#EXT-X-MEDIA-SEQUENCE:0\n"+vodTag...)
	return append(append(b, l.lines...), endTag...)
}

const hourTarget = "#EXT-X-TARGETDURATION:"

// resume continues what another Writer has left, if that is such a playlist.
func (l *hourList) resume(dir folder) {
	text, err := dir.read(l.folder + hourPlaylist)
	if err != nil || len(text) > maxHour {
		return
	}
	head, lines, ok := bytes.Cut(text, []byte(vodTag))
	_, target, found := bytes.Cut(head, []byte(hourTarget))
	digits, _, _ := bytes.Cut(target, []byte("\n"))
	n, err := strconv.Atoi(string(digits))
	lines, ended := bytes.CutSuffix(lines, []byte(endTag))
	if !ok || !found || !ended || err != nil || n < 1 {
		return
	}
	l.target, l.lines, l.gap = n, lines, true
}
