// A player of live fragmented MP4, by HTTP or WebSocket, with nothing but Media
// Source Extensions.

import { Boxes, mimeType } from "./mp4.js";
import { PlayError } from "./errors.js";

const target = 0.8;  // seconds that are buffered where playing begins
const late = 1.6;    // with more it plays a little faster, until it is the target
const lost = 10;     // with more it goes to the target at once
const behind = 30;   // what was played is removed when there is so much of it
const faster = 1.1;

// joined makes one piece of several.
function joined(pieces) {
	if (pieces.length === 1) return pieces[0];
	const all = new Uint8Array(pieces.reduce((n, b) => n + b.length, 0));
	let at = 0;
	for (const b of pieces) {
		all.set(b, at);
		at += b.length;
	}
	return all;
}

// playMSE plays url in video. on.ready is called when there is something to see,
// then on.ended at the end of the stream, or on.error. It returns a function that
// ends it.
export function playMSE(video, url, on) {
	if (!("MediaSource" in window)) throw new PlayError("This browser has no Media Source Extensions.", true);
	const media = new MediaSource();
	const address = URL.createObjectURL(media);
	const leave = new AbortController();
	const boxes = new Boxes();
	const queue = []; // of bytes, and of types that what follows them has
	let buffer = null, type = "", init = null, started = false;

	function fail(error) {
		if (leave.signal.aborted) return;
		stop();
		on.error(error instanceof PlayError ? error : new PlayError(error.message));
	}

	function ended() {
		if (leave.signal.aborted) return;
		stop();
		on.ended();
	}

	// take splits what has come. What precedes a moov belongs to it.
	function take(piece) {
		for (const [name, bytes] of boxes.push(piece)) {
			switch (name) {
			case "ftyp":
				init = bytes;
				continue;
			case "moov":
				setType(mimeType(bytes));
				if (init) queue.push(init);
				init = null;
				break;
			}
			if (buffer) queue.push(bytes);
		}
		pump();
	}

	function setType(t) {
		if (t === type) return;
		type = t;
		if (!MediaSource.isTypeSupported(t)) throw new PlayError(`This browser cannot play ${t}.`, true);
		if (buffer) {
			queue.push(t);
			return;
		}
		buffer = media.addSourceBuffer(t);
		buffer.addEventListener("updateend", pump, leave);
		buffer.addEventListener("error", () => fail(new PlayError("The browser refused the media.")), leave);
	}

	function pump() {
		if (leave.signal.aborted || !buffer || buffer.updating || queue.length === 0) return;
		try {
			if (typeof queue[0] === "string") {
				buffer.changeType(queue.shift());
				pump();
				return;
			}
			const many = queue.findIndex((q) => typeof q === "string");
			const next = queue.splice(0, many < 0 ? queue.length : many);
			try {
				buffer.appendBuffer(joined(next));
			} catch (error) {
				if (error.name !== "QuotaExceededError" || !trim(1)) throw error;
				queue.unshift(...next);
			}
		} catch (error) {
			fail(video.error ? new PlayError(video.error.message) : error);
		}
	}

	// trim removes what was played longer ago than keep seconds.
	function trim(keep) {
		const ranges = buffer.buffered;
		if (buffer.updating || ranges.length === 0 || ranges.start(0) >= video.currentTime - keep) return false;
		buffer.remove(0, video.currentTime - keep);
		return true;
	}

	// follow keeps the video close to what comes.
	function follow() {
		if (!buffer || video.error) {
			if (video.error) fail(new PlayError(video.error.message));
			return;
		}
		const ranges = buffer.buffered;
		if (ranges.length === 0) return;
		const end = ranges.end(ranges.length - 1);
		if (!started) {
			started = true;
			video.currentTime = Math.max(ranges.start(ranges.length - 1), end - target);
			on.ready();
			return;
		}
		for (let i = 0; i < ranges.length; i++) { // over a gap, for nothing will fill it
			if (ranges.start(i) > video.currentTime) {
				if (i === 0 || video.currentTime > ranges.end(i - 1) - 0.1) video.currentTime = ranges.start(i) + 0.01;
				break;
			}
		}
		const ahead = end - video.currentTime;
		if (video.paused) return;
		if (ahead > lost) video.currentTime = end - target;
		else if (ahead > late) video.playbackRate = faster;
		else if (ahead < target) video.playbackRate = 1;
		if (ranges.start(0) < video.currentTime - behind) trim(behind / 2);
	}

	async function read() {
		const answer = await fetch(url, { signal: leave.signal, cache: "no-store" });
		if (!answer.ok) throw PlayError.status(answer.status, (await answer.text()).slice(0, 200));
		for (const reader = answer.body.getReader(); ;) {
			const { done, value } = await reader.read();
			if (done) return ended();
			take(value);
		}
	}

	function listen() {
		const socket = new WebSocket(url);
		socket.binaryType = "arraybuffer";
		leave.signal.addEventListener("abort", () => socket.close());
		socket.onmessage = ({ data }) => {
			try {
				take(new Uint8Array(data));
			} catch (error) {
				fail(error);
			}
		};
		socket.onclose = ({ code, reason }) => {
			if (type && code <= 1001) ended();
			else fail(PlayError.closed(code, reason));
		};
	}

	function stop() {
		leave.abort();
		clearInterval(timer);
	}

	const timer = setInterval(follow, 100);
	media.addEventListener("sourceopen", () => {
		URL.revokeObjectURL(address);
		if (url.startsWith("ws")) listen();
		else read().catch(fail);
	}, { once: true });
	video.src = address;
	return () => {
		stop();
		if (video.src !== address) return; // another player has the video by now
		video.playbackRate = 1;
		video.removeAttribute("src");
		video.load();
	};
}
