package conversion

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

var update = flag.Bool("update", false, "write CONVERSIONS.md")

const page = "../../CONVERSIONS.md"

// A state is what becomes of a codec between an input and an output.
type state uint8

const (
	carried state = iota + 1 // it comes out as it went in
	leftOut                  // the output has no form for it, and said so
	unknown                  // the input has no form for it
)

// String returns what the page has for s.
func (s state) String() string { return [...]string{"", "✓", "–", "·"}[s] }

// A cell is a place in the table.
type cell struct {
	codec   codec.Codec
	in, out string
}

// A table is what was found.
type table struct {
	mu    sync.Mutex // guards cells
	cells map[cell]state
}

func (x *table) set(at cell, s state) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cells[at] = s
}

// check compares the table with the page, or writes that.
func (x *table) check(t *testing.T) {
	if len(x.cells) < len(x.codecs())*len(inputs)*len(outputs) {
		t.Skip("-run has chosen some: the page is not compared")
	}
	got := x.page()
	if *update {
		require.NoError(t, os.WriteFile(page, got, 0o644))
		return
	}
	want, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "what is converted has changed; if that is meant, run go test ./internal/conversion -update")
}

// codecs returns those of the streams, videos first.
func (x *table) codecs() (list []codec.Codec) {
	for _, s := range streams {
		list = append(list, s.Video)
	}
	for _, s := range streams {
		list = append(list, s.Audio)
	}
	return list
}

// head is how the page begins.
const head = `# Conversions

What becomes of every codec between every way in and every way out, as the test in ` + "`internal/conversion`" + ` finds it,
which also writes this page: ` + "`go test ./internal/conversion -update`" + `.

| | |
|---|---|
| %v | What comes out is what went in: every frame, byte for byte, with its key flag, its parameters and its times, these within a tick of the coarser of the two wires. (What is published by RTSP has sound and picture together to a millisecond. Elementary streams in RTP have no time in common but that of their arrival; they go out as streams of their own.) |
| %v | Left out: the way out has no form for the codec. The stream's other tracks are there. That one is not announced, and is told of: in the log, in ` + "`source.FeedStats`, `hls.WriterStats` and `record.Stats`" + `. |
| %v | The way in has no form for the codec. |
`

// page returns the table for readers. Codecs for which all is the same share one.
func (x *table) page() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, head, carried, leftOut, unknown)
	shared := map[string][]string{}
	var order []string
	for _, c := range x.codecs() {
		rows := x.rows(c)
		if shared[rows] == nil {
			order = append(order, rows)
		}
		shared[rows] = append(shared[rows], c.String())
	}
	for _, rows := range order {
		fmt.Fprintf(&b, "\n## %s\n\n%s", strings.Join(shared[rows], ", "), rows)
	}
	return b.Bytes()
}

// rows returns the table of a codec.
func (x *table) rows(c codec.Codec) string {
	var b strings.Builder
	b.WriteString("| from \\ to |")
	for _, out := range outputs {
		fmt.Fprintf(&b, " %s |", out.name)
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(outputs)) + "\n")
	for _, in := range inputs {
		fmt.Fprintf(&b, "| %s |", in.name)
		for _, out := range outputs {
			fmt.Fprintf(&b, " %v |", x.cells[cell{c, in.name, out.name}])
		}
		b.WriteString("\n")
	}
	return b.String()
}
