package record

import (
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// at is when the files of the tests begin.
var at = time.Date(2026, 11, 22, 9, 5, 3, 999_000_000, time.Local)

// TestNames has both forms of names (numbers count the recording's files), and
// what is done where a name is taken.
func TestNames(t *testing.T) {
	cam := source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "cam/1"}
	for _, c := range []struct {
		key          source.Key
		o            Options
		count, taken int
		want         string
	}{
		{cam, Options{}, 0, 0, "record/live/cam/1/2026-11-22/2026-11-22-09-05-03-0.mp4"},
		{cam, Options{}, 7, 0, "record/live/cam/1/2026-11-22/2026-11-22-09-05-03-7.mp4"},
		{cam, Options{}, 7, 2, "record/live/cam/1/2026-11-22/2026-11-22-09-05-03-9.mp4"},
		{cam, Options{Names: NamesTime}, 7, 0, "record/live/cam/1/2026-11-22/09-05-03.mp4"},
		{cam, Options{Names: NamesTime}, 7, 2, "record/live/cam/1/2026-11-22/09-05-03-2.mp4"},
		{cam, Options{Names: NamesTime, Format: FLV}, 0, 0, "record/live/cam/1/2026-11-22/09-05-03.flv"},
		{cam, Options{Format: TS}, 0, 0, "record/live/cam/1/2026-11-22/2026-11-22-09-05-03-0.ts"},
		{cam, Options{Format: HLS}, 0, 0, "record/live/cam/1/2026-11-22/2026-11-22-09-05-03-0.m3u8"},
		{cam, Options{Format: HLSFMP4}, 0, 0, "record/live/cam/1/2026-11-22/2026-11-22-09-05-03-0.m3u8"},
		{cam, Options{Name: "alarm"}, 3, 0, "record/live/cam/1/alarm.mp4"},
		{cam, Options{Name: "alarms/door.mp4"}, 3, 1, "record/live/cam/1/alarms/door-1.mp4"},
		{source.Key{App: "live", Stream: "t"}, Options{}, 0, 0, "record/live/t/2026-11-22/2026-11-22-09-05-03-0.mp4"},
		{source.Key{Vhost: "tv.example", App: "live", Stream: "t"}, Options{}, 0, 0, "tv.example/record/live/t/2026-11-22/2026-11-22-09-05-03-0.mp4"},
	} {
		n, err := newNaming("record", c.key, c.o)
		require.NoError(t, err)
		name := n.name(at, c.count, c.taken)
		require.Equal(t, c.want, name)
		if c.o.Name == "" {
			for _, name := range []string{name, hidden(name)} {
				d, ok := parseName(path.Base(path.Dir(name)), path.Base(name))
				require.True(t, ok, name)
				require.Equal(t, at.Truncate(time.Second), d.start)
				require.Equal(t, path.Base(name)[0] != '.', d.written)
				require.Equal(t, c.o.Format.extension(), d.format.extension())
			}
		}
	}
}

// TestBadNames: no name leads out of the root, whoever made it.
func TestBadNames(t *testing.T) {
	for _, k := range []source.Key{
		{},
		{App: "live"},
		{App: "..", Stream: "t"},
		{App: "live", Stream: "../../t"},
		{App: "live", Stream: "a//b"},
		{Vhost: "..", App: "live", Stream: "t"},
		{Vhost: "../x", App: "live", Stream: "t"},
		{Vhost: `..\x`, App: "live", Stream: "t"},
		{Vhost: "/etc", App: "live", Stream: "t"},
	} {
		_, err := newNaming("record", k, Options{})
		require.ErrorIs(t, err, source.ErrBadKey, "%+v", k)
	}
	for _, name := range []string{"../x", "/x", "a/../../x", ".x", "a/.x.mp4", "..", ".", "/"} {
		_, err := newNaming("record", testKey, Options{Name: name})
		require.ErrorIs(t, err, source.ErrBadKey, name)
	}
}

// parseNameCases are names of files in the folder of 2026-11-22.
var parseNameCases = []struct {
	name string
	ours bool
}{
	{"2026-11-22-09-05-03-0.mp4", true},
	{"2026-11-22-09-05-03-123.mp4", true},
	{".2026-11-22-09-05-03-0.ts", true},
	{"09-05-03.flv", true},
	{"09-05-03-1.m3u8", true},
	{"2026-11-21-09-05-03-0.mp4", false},
	{"2026-11-22-09-05-03-0.mp4.bak", false},
	{"2026-11-22-09-05-03-x.mp4", false},
	{"2026-11-22-09-05-03-.mp4", false},
	{"2026-11-22-25-05-03-0.mp4", false},
	{"09-05-03", false},
	{"09-05.mp4", false},
	{"9-05-03.mp4", false},
	{"09-05-03x.mp4", false},
	{"holiday.mp4", false},
	{"..mp4", false},
	{"", false},
}

func TestParseName(t *testing.T) {
	for _, c := range parseNameCases {
		_, ok := parseName("2026-11-22", c.name)
		require.Equal(t, c.ours, ok, c.name)
		_, ok = parseName("holidays", c.name)
		require.False(t, ok, c.name)
	}
}

func FuzzParseName(f *testing.F) {
	for _, c := range parseNameCases {
		f.Add("2026-11-22", c.name)
	}
	f.Fuzz(func(t *testing.T, day, name string) {
		d, ok := parseName(day, name)
		if ok && (d.start.Format(dateForm) != day || filepath.Base(name) != name) {
			t.Fatalf("%q in %q is of %v", name, day, d.start)
		}
	})
}
