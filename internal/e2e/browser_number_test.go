package e2e

import (
	"fmt"
	"strings"
)

const (
	numberBits = 12
	cellSize   = 16 // pixels: a macroblock
	cells      = 2 + numberBits
)

// numberFilter returns the ffmpeg filter that writes the number of each picture
// into its upper left corner, for programs to read: a white cell, a black one, and
// a cell for each bit, the lowest first.
func numberFilter() string {
	box := func(i, n int, color string) string {
		return fmt.Sprintf("drawbox=x=%d:y=0:w=%d:h=%d:t=fill:color=%s", i*cellSize, n*cellSize, cellSize, color)
	}
	filters := []string{box(0, cells, "black"), box(0, 1, "white")}
	for bit := range numberBits {
		filters = append(filters, fmt.Sprintf("%s:enable='gte(mod(n,%d),%d)'", box(2+bit, 1, "white"), 2<<bit, 1<<bit))
	}
	return strings.Join(filters, ",")
}

// observer is the script that watches a page's video from its beginning. It
// counts how often it waited for data after it had begun, and reads the numbers of
// the pictures when they are shown.
var observer = fmt.Sprintf(`(() => {
	const bits = %d, cell = %d, width = %d * cell;
	const seen = window.seen = { begun: false, stalls: [], pictures: [] };
	document.addEventListener("playing", ({ target: v }) => {
		if (seen.begun) return;
		seen.begun = true;
		seen.at = performance.now();
		seen.time = v.currentTime;
		let last = 0;
		const canvas = document.createElement("canvas");
		canvas.width = width;
		canvas.height = cell;
		const context = canvas.getContext("2d", { willReadFrequently: true });
		const shown = (now) => {
			v.requestVideoFrameCallback(shown);
			if (now - last < 500) return;
			last = now;
			const clock = Date.now();
			context.drawImage(v, 0, 0, width, cell, 0, 0, width, cell);
			const { data } = context.getImageData(0, cell / 2, width, 1);
			const cells = [];
			for (let x = cell / 2; x < width; x += cell) cells.push(data[4 * x + 1]);
			if (cells[0] < 200 || cells[1] > 56) return;
			let number = 0;
			for (let i = 0; i < bits; i++) if (cells[2 + i] > 128) number += 2 ** i;
			seen.pictures.push({ number, clock });
		};
		v.requestVideoFrameCallback(shown);
	}, true);
	document.addEventListener("waiting", ({ target: v }) => {
		if (seen.begun && !v.seeking) seen.stalls.push({ after: performance.now() - seen.at, time: v.currentTime });
	}, true);
})()`, numberBits, cellSize, cells)

// A sighting is what the observer has seen.
type sighting struct {
	Begun    bool
	Elapsed  float64 // seconds since it began to play
	Advanced float64 // by which the video's time went on
	Stalls   []struct {
		After float64 // milliseconds since it began to play
		Time  float64 // of the video
	}
	Pictures []struct {
		Number int
		Clock  float64 // milliseconds since 1970
	}
	Width, Height, Frames, Dropped int
	Ended                          bool
	Latency                        string // what the page says
	Words                          string // that cover the picture
}

// look returns what the observer of a tab has seen.
func (tb *tab) look() sighting {
	tb.browser.t.Helper()
	var s sighting
	tb.eval(`(() => {
		const v = document.querySelector("video");
		if (!v) return { words: document.body?.innerText ?? "" };
		const over = document.querySelector(".over"), quality = v.getVideoPlaybackQuality();
		return { ...seen, elapsed: (performance.now() - seen.at) / 1000 || 0, advanced: v.currentTime - seen.time || 0,
			width: v.videoWidth, height: v.videoHeight, frames: quality.totalVideoFrames, dropped: quality.droppedVideoFrames,
			ended: v.ended, latency: [...document.querySelectorAll(".tiles > div")].find((d) => d.innerText.startsWith("Latency")).innerText,
			words: over.hidden ? "" : over.innerText };
	})()`, &s)
	return s
}
