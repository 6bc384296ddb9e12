package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/bench/internal/quantile"
)

// The playlists that are measured.
const (
	playlistTS   = "hls.m3u8"
	playlistFMP4 = "hls.fmp4.m3u8"
)

// wrkThreads and wrkConns are the load.
const (
	wrkThreads = 1
	wrkConns   = 32
)

// An hlsViewer is a player's HTTP side.
type hlsViewer struct {
	http http.Client
	base string // URL of the stream, with a slash at its end
}

func newHLSViewer(addr string) (*hlsViewer, error) {
	jar, err := cookiejar.New(nil)
	return &hlsViewer{
		http: http.Client{Jar: jar, Timeout: 20 * time.Second},
		base: fmt.Sprintf("http://%s/%s/%s/", addr, streamApp, streamName),
	}, err
}

// get returns what the server has under name; ranged is a Range header or "".
func (v *hlsViewer) get(name, ranged string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, v.base+name, nil)
	if err != nil {
		return nil, err
	}
	if ranged != "" {
		req.Header.Set("Range", ranged)
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", name, resp.Status)
	}
	return b, err
}

// newestSegment returns the last segment in the playlist.
func (v *hlsViewer) newestSegment(playlist string) (name string, data []byte, err error) {
	text, err := v.get(playlist, "")
	if err != nil {
		return "", nil, err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			name = line
		}
	}
	if name == "" {
		return "", nil, fmt.Errorf("%s lists nothing", playlist)
	}
	data, err = v.get(name, "")
	return name, data, err
}

// wrk asks for url as fast as it can and returns how often that was in a second.
func wrk(url string, d time.Duration) (float64, error) {
	out, err := exec.Command("wrk", "-t", fmt.Sprint(wrkThreads), "-c", fmt.Sprint(wrkConns), "-d", fmt.Sprintf("%.0fs", d.Seconds()), url).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	m := regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`).FindSubmatch(out)
	if m == nil || bytes.Contains(out, []byte("Non-2xx")) {
		return 0, fmt.Errorf("wrk %s: %s", url, out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// newHLSStage starts our server and a publisher.
func newHLSStage(o options) (*stage, *hlsViewer, error) {
	s, err := newStage(cell{Subject: subjectServer, Protocol: crowd.HLS})
	if err != nil {
		return nil, nil, err
	}
	var v *hlsViewer
	if err = s.startPublishers(crowd.RTMP, 1, o); err == nil {
		v, err = newHLSViewer(s.addrs[crowd.HLS])
	}
	if err != nil {
		s.close()
	}
	return s, v, err
}

// measureSegments measures how fast a segment of playlist is served while the
// stream goes on, next to nginx with the same bytes in a file.
func measureSegments(playlist string, o options) (r serving, err error) {
	r.Playlist = playlist
	s, viewer, err := newHLSStage(o)
	if err != nil {
		return r, err
	}
	defer s.close()
	dir, err := os.MkdirTemp("", "bench-hls-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	n, err := startStatic(dir)
	if err != nil {
		return r, err
	}
	defer n.Close()
	for range max(o.repeat, 3) {
		name, data, err := viewer.newestSegment(playlist)
		if err != nil {
			return r, err
		}
		r.Segment = len(data)
		file := "segment" + path.Ext(name)
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			return r, err
		}
		ours, err := wrk(viewer.base+name, o.duration)
		if err != nil {
			return r, err
		}
		theirs, err := wrk("http://"+n.addr+"/"+file, o.duration)
		if err != nil {
			return r, err
		}
		r.Ours, r.Theirs = append(r.Ours, ours), append(r.Theirs, theirs)
	}
	return r, s.lost()
}

var (
	partLine   = regexp.MustCompile(`(?m)^#EXT-X-PART:.*URI="([^"]+)".*$`)
	partRange  = regexp.MustCompile(`BYTERANGE="(\d+)@(\d+)"`)
	partTarget = regexp.MustCompile(`PART-TARGET=([0-9.]+)`)
	sequence   = regexp.MustCompile(`#EXT-X-MEDIA-SEQUENCE:(\d+)`)
)

// measureDelay plays the stream part by part, as a player at the live edge does:
// the playlist is asked for with the number of the next part, then that part.
func measureDelay(o options) (d delay, err error) {
	s, viewer, err := newHLSStage(o)
	if err != nil {
		return d, err
	}
	defer s.close()
	var all, last []time.Duration
	text, err := viewer.get(playlistFMP4, "")
	if err != nil {
		return d, err
	}
	had, seq := "", uint32(0)
	for end := time.Now().Add(4 * o.duration); time.Now().Before(end); {
		msn, part, parts, err := edge(text)
		if err != nil {
			return d, err
		}
		for _, p := range newParts(parts, had) {
			had = p.key()
			data, err := viewer.get(p.uri, p.header())
			if err != nil {
				return d, err
			}
			now := proc.Now()
			stamps := readStamps(data)
			if d.Parts++; d.Parts == 1 {
				continue // it had been there for a while
			}
			for i, st := range stamps {
				took := time.Duration(now - st.at)
				all = append(all, took)
				if i == len(stamps)-1 {
					last = append(last, took)
				}
				if seq != 0 && st.n > seq+1 {
					d.Missed += int(st.n - seq - 1)
				}
				seq = st.n
			}
		}
		if m := partTarget.FindSubmatch(text); m != nil {
			f, _ := strconv.ParseFloat(string(m[1]), 64)
			d.PartTarget = time.Duration(f * float64(time.Second))
		}
		if text, err = viewer.get(fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", playlistFMP4, msn, part), ""); err != nil {
			return d, err
		}
	}
	if len(all) == 0 {
		return d, errors.New("no frame came by HLS")
	}
	d.Frames = len(all)
	d.AllP50, d.AllP99 = quantile.Of(all, 0.5), quantile.Of(all, 0.99)
	d.LastP50, d.LastP99 = quantile.Of(last, 0.5), quantile.Of(last, 0.99)
	return d, s.lost()
}

// A hlsPart is what a playlist says of a part.
type hlsPart struct {
	uri          string
	size, offset int
}

func (p hlsPart) key() string { return fmt.Sprintf("%s@%d", p.uri, p.offset) }

func (p hlsPart) header() string { return fmt.Sprintf("bytes=%d-%d", p.offset, p.offset+p.size-1) }

// edge returns the media sequence number and the part that comes next, and all
// parts that are listed.
func edge(text []byte) (msn, part int, parts []hlsPart, err error) {
	m := sequence.FindSubmatch(text)
	if m == nil {
		return 0, 0, nil, fmt.Errorf("no media sequence in the playlist: %.200s", text)
	}
	msn, _ = strconv.Atoi(string(m[1]))
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := partLine.FindStringSubmatch(line); m != nil {
			p := hlsPart{uri: m[1]}
			if r := partRange.FindStringSubmatch(line); r != nil {
				p.size, _ = strconv.Atoi(r[1])
				p.offset, _ = strconv.Atoi(r[2])
			}
			parts = append(parts, p)
			part++
		} else if line != "" && line[0] != '#' {
			msn++
			part = 0
		}
	}
	return msn, part, parts, nil
}

// newParts returns the parts after the one that had; of a first playlist the last
// part only.
func newParts(parts []hlsPart, had string) []hlsPart {
	for i, p := range parts {
		if p.key() == had {
			return parts[i+1:]
		}
	}
	return parts[max(0, len(parts)-1):]
}

type stamp struct {
	n  uint32
	at int64
}

// readStamps returns the stamps of all frames in b.
func readStamps(b []byte) (all []stamp) {
	for {
		i := media.FindStamp(b)
		if i < 0 {
			return all
		}
		b = b[i:]
		if n, at, ok := media.ReadStamp(b); ok {
			all = append(all, stamp{n, at})
		}
		b = b[1:]
	}
}
