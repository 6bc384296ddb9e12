package record

import (
	"testing"
	"time"
)

// BenchmarkWriter is what a frame takes on its way to the file.
func BenchmarkWriter(b *testing.B) {
	frames := film.Take(10 * time.Second)
	for name, o := range formats {
		b.Run(name, func(b *testing.B) {
			o.NoSync = true
			g := newRig(b, o, film.Tracks())
			b.ReportAllocs()
			var shift time.Duration
			for i := range b.N {
				if i > 0 && i%len(frames) == 0 {
					shift += 10 * time.Second
				}
				f := *frames[i%len(frames)]
				f.DTS, f.PTS = f.DTS+shift, f.PTS+shift
				g.write(&f)
			}
			g.close()
		})
	}
}
