// One face for the three players: hls.js, mpegts.js, and mse.js, which is ours.

import { serverNow } from "./api.js";
import { PlayError } from "./errors.js";
import { playMSE } from "./mse.js";

const hlsModule = "./vendor/hls.js-1.7.4/hls.min.mjs";
const mpegtsScript = "vendor/mpegts.js-1.8.2/mpegts.js";

const enough = 0.6; // seconds that are buffered before playing begins

// A Player plays one stream in one form.
export class Player {
	stalls = 0; // how often it waited for data after it had begun
	#video;
	#end = () => {};
	#latency = () => null;
	#leave = new AbortController();

	// on has functions that are told "playing", "waiting", "blocked" (the browser
	// wants a click first) and "ended" as state(s), and why it cannot go on as error(e).
	constructor(video, form, url, on) {
		this.#video = video;
		this.form = form;
		this.#watch(on);
		const leave = this.#leave.signal;
		const told = {
			ready: () => this.#begin(on, form.player === "hls" && !form.low ? 0 : enough),
			left: () => leave.aborted,
			ended: () => { if (!leave.aborted) on.state("ended"); },
			error: (error) => { if (!leave.aborted) on.error(error); },
		};
		const start = { hls: playHLS, mpegts: playMPEGTS, mse: playBare }[form.player];
		start(video, form, url, told).then(({ end, latency }) => {
			if (leave.aborted) return end();
			this.#end = end;
			this.#latency = latency ?? (() => buffered(video));
		}).catch((error) => told.error(error instanceof PlayError ? error : new PlayError(error.message)));
	}

	// begin plays as soon as so many seconds are buffered: what comes late then makes
	// no stall. Of HLS there are whole segments. A stream that ends has no more, so it
	// waits for a moment only.
	#begin(on, seconds, patience = 60) {
		const { signal } = this.#leave;
		if (signal.aborted) return;
		if (buffered(this.#video) < seconds && patience > 0) {
			setTimeout(() => this.#begin(on, seconds, patience - 1), 50);
			return;
		}
		this.#video.play().catch((error) => {
			if (!signal.aborted && error.name === "NotAllowedError") on.state("blocked");
		});
	}

	#watch(on) {
		const { signal } = this.#leave;
		let begun = false;
		const listen = (name, fn) => this.#video.addEventListener(name, fn, { signal });
		listen("playing", () => { begun = true; on.state("playing"); });
		listen("waiting", () => {
			if (begun && !this.#video.seeking) this.stalls++;
			on.state("waiting");
		});
		listen("ended", () => on.state("ended"));
	}

	// latency is how far the picture is behind, in seconds, or null. Of HLS it is
	// the time since the picture reached the server, told by
	// EXT-X-PROGRAM-DATE-TIME and the server's clock; of the others the media that is
	// buffered ahead of the picture, without the way here.
	get latency() { return this.#latency(); }

	get buffered() { return buffered(this.#video); }

	stop() {
		this.#leave.abort();
		this.#end();
	}
}

// buffered is how much there is ahead of the picture, in seconds.
function buffered(video) {
	const { buffered: ranges } = video;
	return ranges.length > 0 ? Math.max(0, ranges.end(ranges.length - 1) - video.currentTime) : null;
}

// nothing is what a player is that was left before it began.
const nothing = { end: () => {} };

async function playBare(video, _, url, on) {
	return { end: playMSE(video, url, on) };
}

async function playHLS(video, form, url, on) {
	const { default: Hls } = await import(hlsModule);
	if (on.left()) return nothing; // another player has the video by now
	if (!Hls.isSupported()) {
		if (!video.canPlayType("application/vnd.apple.mpegurl")) throw new PlayError("This browser cannot play HLS.", true);
		video.src = url;
		const leave = new AbortController();
		video.addEventListener("error", () => on.error(new PlayError(video.error.message)), leave);
		on.ready();
		return {
			end: () => { leave.abort(); video.removeAttribute("src"); video.load(); },
			latency: () => since(video.getStartDate?.().getTime() + video.currentTime * 1000),
		};
	}
	const hls = new Hls({
		lowLatencyMode: form.low === true,
		...form.low && { liveSyncDuration: 1, maxLiveSyncPlaybackRate: 1.1 }, // the server's PART-HOLD-BACK is the least there is
		enableWorker: false, // its worker is a blob, which the page's policy forbids
		backBufferLength: 30,
		liveDurationInfinity: true,
	});
	let recovered = 0;
	hls.on(Hls.Events.ERROR, (_, data) => {
		if (!data.fatal) return;
		if (data.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - recovered > 5000) {
			recovered = performance.now();
			hls.recoverMediaError();
			return;
		}
		const { code } = data.response ?? {};
		if (code >= 400) on.error(PlayError.status(code));
		else if (data.type === Hls.ErrorTypes.MEDIA_ERROR) on.error(new PlayError(`This browser cannot play it: ${data.details}.`, true));
		else on.error(new PlayError(`${data.details}${data.error ? `: ${data.error.message}` : ""}.`));
	});
	// The sound may go on for longer than the picture; then hls.js waits for the last
	// bit of a picture that never comes.
	let end = Infinity;
	hls.on(Hls.Events.LEVEL_UPDATED, (_, { details }) => { end = details.live ? Infinity : details.edge; });
	const over = new AbortController();
	video.addEventListener("waiting", () => { if (video.currentTime > end - 0.5) on.ended(); }, over);
	const loaded = () => {
		hls.off(Hls.Events.FRAG_BUFFERED, loaded);
		if (form.low && hls.liveSyncPosition > video.currentTime) video.currentTime = hls.liveSyncPosition;
		on.ready();
	};
	hls.on(Hls.Events.FRAG_BUFFERED, loaded);
	hls.loadSource(url);
	hls.attachMedia(video);
	return { end: () => { over.abort(); hls.destroy(); }, latency: () => since(hls.playingDate?.getTime()) ?? (hls.latency || null) };
}

// since is how many seconds ago a moment was by the server's clock.
function since(then) {
	return Number.isFinite(then) ? (serverNow() - then) / 1000 : null;
}

async function playMPEGTS(video, form, url, on) {
	const mpegts = await script(mpegtsScript, "mpegts");
	if (on.left()) return nothing;
	if (!mpegts.isSupported()) throw new PlayError("This browser has no Media Source Extensions.", true);
	mpegts.LoggingControl.applyConfig({ enableVerbose: false, enableDebug: false, enableInfo: false, enableWarn: false });
	const player = mpegts.createPlayer({ type: form.type, isLive: true, url }, {
		isLive: true,
		lazyLoad: false,
		enableStashBuffer: false,
		autoCleanupSourceBuffer: true,
		autoCleanupMaxBackwardDuration: 30,
		autoCleanupMinBackwardDuration: 15,
		liveSync: true, // as mse.js does
		liveSyncTargetLatency: 0.8,
		liveSyncMaxLatency: 1.6,
		liveSyncPlaybackRate: 1.1,
	});
	player.on(mpegts.Events.ERROR, (type, detail, info) => {
		const { code, msg } = info ?? {};
		if (detail === mpegts.ErrorDetails.NETWORK_STATUS_CODE_INVALID) on.error(PlayError.status(code));
		else if (type === mpegts.ErrorTypes.NETWORK_ERROR && form.ws) on.error(PlayError.closed(code > 0 ? code : 1006, msg));
		else on.error(new PlayError(`${detail}${msg ? `: ${msg}` : ""}.`, detail === mpegts.ErrorDetails.MEDIA_CODEC_UNSUPPORTED));
	});
	player.on(mpegts.Events.LOADING_COMPLETE, on.ended);
	player.on(mpegts.Events.MEDIA_INFO, on.ready);
	player.attachMediaElement(video);
	player.load();
	return { end: () => player.destroy() };
}

const scripts = new Map();

// script loads a script that is no module and returns the global it makes.
function script(source, name) {
	if (!scripts.has(source)) {
		scripts.set(source, new Promise((resolve, reject) => {
			const el = document.createElement("script");
			el.src = source;
			el.onload = () => resolve(window[name]);
			el.onerror = () => {
				scripts.delete(source);
				reject(new PlayError("The player could not be loaded."));
			};
			document.head.append(el);
		}));
	}
	return scripts.get(source);
}
