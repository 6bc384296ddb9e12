package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSlowViewer has one viewer that reads at half the stream's rate. What it
// gets can be decoded and is not old; the fifty others lose nothing.
//
// It takes 20 s, or what MEDIAKIT_SLOW says, such as "1m". It runs alone: on a
// machine that is too busy others are slow, too.
func TestSlowViewer(t *testing.T) {
	length := howLong(t, "MEDIAKIT_SLOW", 20*time.Second)
	if testing.Short() {
		length = 10 * time.Second
	}
	const gop = time.Second
	c := clip{video: "h264", audio: "aac", bframes: 2, kbps: 1000, duration: length}
	published := probeFile(t, "ffprobe", c.file(t))
	st, err := os.Stat(c.file(t))
	require.NoError(t, err)
	rate := int(float64(st.Size()) / length.Seconds()) // bytes a second
	s := serve(t, nil)

	// The normal viewers; one is recorded and the others are compared with it.
	var head tagClock // the newest time the recorded one was sent
	file := filepath.Join(t.TempDir(), "normal.flv")
	sums := make([][sha256.Size]byte, 50)
	var normal sync.WaitGroup
	for i := range sums {
		normal.Go(func() {
			hash := sha256.New()
			var sink io.Writer = hash
			if i == 0 {
				f, err := os.Create(file)
				if !assert.NoError(t, err) {
					return
				}
				defer f.Close()
				sink = io.MultiWriter(hash, &head, f)
			}
			body, err := open(t.Context(), s.url("http", "live/t"))
			if !assert.NoError(t, err) {
				return
			}
			defer body.Close()
			_, err = io.Copy(sink, body)
			assert.NoError(t, err)
			hash.Sum(sums[i][:0])
		})
	}

	slowFile := filepath.Join(t.TempDir(), "slow.flv")
	var worst time.Duration
	var slow sync.WaitGroup
	slow.Go(func() {
		var err error
		worst, err = readSlowly(t.Context(), s.addrs["http"], "/live/t.live.flv", slowFile, rate/2, &head)
		assert.NoError(t, err)
	})

	s.viewers(t, len(sums)+1)
	publish(t, c.file(t), s.url("rtmp", "live/t")).ok(length + patience)
	normal.Wait()
	slow.Wait()

	got := probeFile(t, "ffprobe", file)
	requireSame(t, published, got, 0)
	for i := range sums {
		require.Equal(t, sums[0], sums[i], "viewer %d got other bytes than viewer 0", i)
	}

	requireDecodes(t, "ffmpeg", slowFile)
	n := len(probeFile(t, "ffprobe", slowFile).packets(t, "video"))
	t.Logf("the slow viewer got %d of %d pictures and was at most %s behind", n, len(published.packets(t, "video")), worst)
	require.Less(t, n, len(published.packets(t, "video"))*4/5, "the slow viewer was not slow")
	require.Greater(t, n, len(published.packets(t, "video"))/5)
	// Two seconds in the server, up to a GOP until it can jump, and what
	// the kernel holds on the way: 128 KiB unsent, and the buffers of both ends.
	onTheWay := (256 << 10) * time.Second / time.Duration(rate)
	require.LessOrEqual(t, worst, 2*time.Second+gop+onTheWay)
}

// readSlowly plays an HTTP-FLV stream at rate bytes a second through a small
// receive buffer into a file and returns how far behind head it was at worst.
func readSlowly(ctx context.Context, addr, path, file string, rate int, head *tagClock) (worst time.Duration, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, addr); err != nil {
		return 0, err
	}
	var own tagClock
	body := false
	var header strings.Builder
	const step = 100 * time.Millisecond
	buf := make([]byte, rate/int(time.Second/step))
	for tick := time.NewTicker(step); ; <-tick.C {
		n, err := io.ReadFull(conn, buf)
		b := buf[:n]
		if !body {
			header.Write(b)
			_, rest, ok := strings.Cut(header.String(), "\r\n\r\n")
			if !ok {
				if err != nil {
					return 0, err
				}
				continue
			}
			body, b = true, []byte(rest)
		}
		own.Write(b)
		if _, err := f.Write(b); err != nil {
			return 0, err
		}
		if err != nil {
			return worst, nil // the stream has ended
		}
		if at, newest := own.time(), head.time(); at > 0 {
			worst = max(worst, newest-at)
		}
	}
}

// A tagClock is a writer of FLV that knows the time of the newest tag.
type tagClock struct {
	at   atomic.Int64 // milliseconds
	head []byte       // of the tag being read, up to tagHeader bytes
	skip int          // bytes until the next tag
	past bool         // the file header was seen
}

const fileHeader, tagHeader = 9 + 4, 11

func (c *tagClock) time() time.Duration { return time.Duration(c.at.Load()) * time.Millisecond }

func (c *tagClock) Write(p []byte) (int, error) {
	n := len(p)
	if !c.past {
		c.past, c.skip = true, fileHeader
	}
	for len(p) > 0 {
		if k := min(c.skip, len(p)); k > 0 {
			c.skip -= k
			p = p[k:]
			continue
		}
		k := min(tagHeader-len(c.head), len(p))
		c.head = append(c.head, p[:k]...)
		p = p[k:]
		if len(c.head) == tagHeader {
			h := c.head
			c.at.Store(int64(h[7])<<24 | int64(h[4])<<16 | int64(h[5])<<8 | int64(h[6]))
			c.skip = int(h[1])<<16 + int(h[2])<<8 + int(h[3]) + 4 // with the tag's size after it
			c.head = c.head[:0]
		}
	}
	return n, nil
}
