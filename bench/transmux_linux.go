package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/source"
)

// How large the films are that are put into other containers, in bytes.
const (
	filmSize      = 1 << 30
	quickFilmSize = filmSize / 8
)

// conversions are those that are measured: from a plain MP4 file to the others, and
// back. Each From was made before.
var conversions = []conversion{
	{"film.mp4", "film.fmp4.mp4", true},
	{"film.mp4", "film.ts", false},
	{"film.mp4", "film.flv", false},
	{"film.fmp4.mp4", "back.mp4", false},
	{"film.ts", "back.mp4", false},
	{"film.flv", "back.mp4", false},
}

// filmFolder makes a folder for films, in memory if the system has one there: so
// the disk is not measured.
func filmFolder() (string, error) {
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	return os.MkdirTemp(parent, "mediakit-bench-")
}

// measureTransmux measures all conversions of a film.
func measureTransmux(o options, progress func(format string, args ...any)) (all []transmuxing, err error) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		return nil, errors.New("ffmpeg is not installed")
	}
	dir, err := filmFolder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	size := filmSize
	if o.quick {
		size = quickFilmSize
	}
	short := filepath.Join(dir, "short")
	if err := os.Mkdir(short, 0o700); err != nil {
		return nil, err
	}
	begin := filepath.Join(dir, "clip.mp4")
	if err := clip(begin); err != nil {
		return nil, err
	}
	for d, n := range map[string]int{dir: size, short: size / 8} {
		if _, err := spend(ourselves("film", begin, filepath.Join(d, "film.mp4"), strconv.Itoa(n))); err != nil {
			return nil, err
		}
	}
	for _, c := range conversions {
		t := transmuxing{conversion: c}
		if info, err := os.Stat(filepath.Join(dir, c.From)); err == nil {
			t.Bytes = info.Size()
		}
		if t.Short, err = c.measure(short, ""); err != nil {
			return nil, err
		}
		for i := range o.repeat {
			profile := ""
			if o.profile != "" && i == 0 {
				profile = fmt.Sprintf("%s.transmux-%s-%s.cpu", o.profile, c.From, c.To)
			}
			theirs, err := spend(c.ffmpeg(dir))
			if err != nil {
				return nil, err
			}
			ours, err := c.measure(dir, profile)
			if err != nil {
				return nil, err
			}
			t.Ours, t.Theirs = append(t.Ours, ours), append(t.Theirs, theirs)
		}
		progress("%s: %.2f × ffmpeg's CPU time", c.name(), t.ratio(effort.cpu))
		all = append(all, t)
	}
	return all, nil
}

// measure has us do c in a folder.
func (c conversion) measure(dir, profile string) (effort, error) {
	return spend(ourselves("transmux", filepath.Join(dir, c.From), filepath.Join(dir, c.To), strconv.FormatBool(c.Fragmented), profile))
}

// ffmpeg returns the command that has ffmpeg do c.
func (c conversion) ffmpeg(dir string) *exec.Cmd {
	args := []string{"-nostdin", "-v", "error", "-y", "-i", filepath.Join(dir, c.From), "-c", "copy"}
	if c.Fragmented {
		args = append(args, "-movflags", "frag_keyframe+empty_moov+default_base_moof")
	}
	return exec.Command("ffmpeg", append(args, filepath.Join(dir, c.To))...)
}

// ourselves returns the command that starts this program with args.
func ourselves(args ...string) *exec.Cmd { return exec.Command("/proc/self/exe", args...) }

// spend runs a command to its end.
func spend(cmd *exec.Cmd) (e effort, err error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return e, fmt.Errorf("%s: %w: %.500s", cmd, err, said.Bytes())
	}
	e.Wall = time.Since(began)
	e.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		e.RSS = int64(u.Maxrss) * 1024
	}
	return e, nil
}

// clip makes ten seconds of film: 4 Mbit/s with B frames, a key frame every two
// seconds, and AAC.
func clip(path string) error {
	_, err := spend(exec.Command("ffmpeg", "-nostdin", "-v", "error", "-y",
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25,noise=alls=20:allf=t", "-f", "lavfi", "-i", "anoisesrc=r=48000:a=0.1", "-t", "10",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M",
		"-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", path))
	return err
}

// filmMain writes a film of about so many bytes: a clip again and again.
func filmMain(clip, path string, size int) error {
	ctx := context.Background()
	r, err := (&player.Client{Loop: true}).Open(ctx, clip)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w, err := mp4.NewWriter(f, r.Tracks(), nil)
	if err != nil {
		return err
	}
	for fr, err := range source.Frames(ctx, r) {
		if err == nil {
			err = w.WriteFrame(ctx, fr)
		}
		if err != nil {
			return err
		}
		if size -= len(fr.Data); size < 0 {
			break
		}
	}
	return w.Close()
}

// transmuxMain puts a file into another container, as examples/transmux does.
func transmuxMain(from, to string, fragmented bool, profile string) error {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	debug.SetGCPercent(400)
	c := pusher.Client{}
	if fragmented {
		c.Layout = mp4.LayoutFragmented
	}
	return pusher.Push(context.Background(), c.Sink(to), player.Source(from))
}
