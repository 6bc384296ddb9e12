package source

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// A counter is a Muxer that numbers its lines.
type counter struct{ next int }

func (c *counter) Header() []byte { return nil }

func (c *counter) Append(dst []Packet, f *codec.Frame) ([]Packet, error) {
	line := fmt.Sprintf("%d number %d\n", f.DTS.Milliseconds(), c.next)
	c.next++
	return append(dst, Packet{Track: f.Track.ID, Key: f.Key(), DTS: f.DTS, Wire: []byte(line)}), nil
}

func (c *counter) Rewind(unsent []Packet) {
	_, number, _ := strings.Cut(strings.TrimSpace(string(unsent[0].Wire)), " number ")
	c.next, _ = strconv.Atoi(number)
}

// TestDeliverySeekAtOnce: when Seek has returned nothing from before is written,
// however full everything is, and the first that is written is what it went to.
// Numbers have no gaps.
func TestDeliverySeekAtOnce(t *testing.T) {
	const seeks, apart = 100, 100000 // frames
	f := &tape{film{end: math.MaxInt32, closed: make(chan struct{})}}
	c, err := FeedOf(t.Context(), f, Format{New: func([]*codec.Track) (Muxer, error) { return &counter{}, nil }})
	require.NoError(t, err)
	box := newMailbox()
	d := c.DeliverTo(box, DeliverOptions{})
	for i := range seeks {
		at, err := d.Seek(t.Context(), time.Duration(i*apart)*40*ms)
		require.NoError(t, err)
		require.Equal(t, time.Duration(i*apart)*40*ms, at)
		d.Pause(false)
		if i%2 == 0 { // else the next follows at once
			require.NoError(t, d.Control(fmt.Appendf(nil, "sought %d\n", i)))
		}
		if i%10 == 0 {
			require.Eventually(t, func() bool { return strings.Contains(box.text(), fmt.Sprintf("sought %d\n", i)) }, time.Minute, time.Microsecond)
		}
	}
	last := fmt.Sprintf("\n%d number", (seeks-1)*apart*40)
	require.Eventually(t, func() bool { return strings.Contains(box.text(), last) }, time.Minute, time.Millisecond)
	require.Equal(t, errLost, d.Close(errLost))
	<-f.closed

	told, seen, next := -1, -1, 0
	for line := range strings.Lines(box.text()) {
		var n, ms, number int
		if _, err := fmt.Sscanf(line, "sought %d", &n); err == nil {
			told = n
			continue
		}
		_, err := fmt.Sscanf(line, "%d number %d", &ms, &number)
		require.NoError(t, err, line)
		require.Equal(t, next, number, line)
		next++
		at := ms / 40
		require.GreaterOrEqual(t, at/apart, told, "from before the seek: %s", line)
		if at/apart != seen {
			seen = at / apart
			require.Zero(t, at%apart, "a seek's first frame: %s", line)
		}
	}
	require.Equal(t, seeks-1, seen)
}

// TestDeliverySeekOver: where a film has ended there is nothing to seek any more.
func TestDeliverySeekOver(t *testing.T) {
	f := &tape{film{end: 20, closed: make(chan struct{})}}
	c, err := FeedOf(t.Context(), f, textFormat(nil))
	require.NoError(t, err)
	d := c.DeliverTo(newMailbox(), DeliverOptions{})
	<-d.Done()
	_, err = d.Seek(t.Context(), 0)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, d.Close(nil), io.EOF)
}

// TestFilmMuxer: the muxer of a film is told how long it is, that of a stream is not.
func TestFilmMuxer(t *testing.T) {
	var told []time.Duration
	format := Format{Name: "films", New: func([]*codec.Track) (Muxer, error) { return &filmMuxer{told: &told}, nil }}
	f := &tape{film{end: 20, closed: make(chan struct{})}}
	c, err := FeedOf(t.Context(), Pace(f), format)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Equal(t, []time.Duration{800 * ms}, told)
	c, err = FeedOf(t.Context(), &film{end: 20, closed: make(chan struct{})}, format)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Len(t, told, 1)
}

// A filmMuxer keeps what it is told.
type filmMuxer struct {
	counter
	told *[]time.Duration
}

func (m *filmMuxer) PlayFilm(length time.Duration) { *m.told = append(*m.told, length) }
