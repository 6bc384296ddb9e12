import { serverNow, watch } from "./api.js";
import { copyButton, h, Table, text } from "./dom.js";
import { Graph } from "./graph.js";
import { Player } from "./player.js";
import { age, bitrate, bytes, rate, seconds, sum } from "./units.js";
import { all, fitting, forms, httpURL } from "./urls.js";

const again = [2, 4, 8]; // seconds until another attempt to play; the last one stays

// A StreamView shows one stream: the picture, and what is known of it.
export class StreamView {
	element = h("div", { class: "stack" });
	#key;
	#server;
	#info = null;
	#player = null;
	#failures = 0;
	#ended = false; // it has been said that the stream has ended
	#retry;
	#timer;
	#unwatch;
	#picked = ""; // the form, once there was a reason for one
	#video = h("video", { controls: true, playsinline: true, muted: true });
	#over = h("div", { class: "over" });
	#dot = h("span", { class: "dot" });
	#state = h("span");
	#since = h("span", { class: "quiet" });
	#form = h("select", { change: () => this.#choose(this.#form.value) });
	#said = h("p", { class: "hidden", role: "status" });
	#tiles = new Map();
	#graph = new Graph();
	#tracks = new Table("Tracks");
	#sessions = new Table("Sessions");
	#watching = h("h2", {}, "Sessions");

	constructor(key, server) {
		this.#key = key;
		this.#server = server;
		this.#video.muted = true; // or no browser would begin to play
		this.#build();
		this.#say("Asking for the stream…");
		this.#unwatch = watch(key, (info) => this.#told(info), () => this.#gone());
		this.#timer = setInterval(() => this.#showPlayer(), 500);
	}

	// close ends playing and watching.
	close() {
		this.#unwatch();
		clearInterval(this.#timer);
		this.#stop();
	}

	#build() {
		const groups = Map.groupBy(forms, (form) => form.group);
		for (const [group, members] of groups) {
			this.#form.append(h("optgroup", { label: group }, members.map((f) => h("option", { value: f.id }, f.label))));
		}
		const tile = (id, name, note) => {
			const value = h("span", {}, "–"), small = h("small", {}, note ?? "");
			this.#tiles.set(id, [value, small]);
			return h("div", {}, h("dt", {}, name), h("dd", {}, value, small));
		};
		const name = `${this.#key.app}/${this.#key.stream}`;
		this.#video.setAttribute("aria-label", `Video of ${name}`);
		this.element.append(
			h("section", { class: "card", "aria-label": name },
				h("div", { class: "heading" },
					h("h2", {}, name), h("span", { class: "badge" }, this.#dot, this.#state), this.#since,
					h("label", {}, "Play by", this.#form)),
				h("div", { class: "screen" }, this.#video, this.#over),
				this.#said,
				h("dl", { class: "tiles" },
					tile("bitrate", "Bitrate"), tile("viewers", "Viewers"), tile("fps", "Frame rate"), tile("key", "Key frame interval"),
					tile("latency", "Latency"), tile("buffer", "Buffered ahead"), tile("stalls", "Stalls"), tile("picture", "Picture")),
				this.#graph.element),
			h("div", { class: "pair" },
				h("section", { class: "card" }, h("h2", {}, "Tracks"), this.#tracks.element),
				h("section", { class: "card" }, this.#watching, this.#sessions.element)),
			h("section", { class: "card" }, h("h2", {}, "URLs"), h("div", { class: "urls" }, this.#urls())));
	}

	#urls() {
		return all(this.#key, this.#server).map(([label, url], i) => {
			const input = h("input", { id: `url${i}`, class: "mono", readonly: true, value: url, focus: (event) => event.target.select() });
			return h("div", { class: "url" }, h("label", { for: `url${i}` }, label), input, copyButton(`${label} URL`, () => url));
		});
	}

	#tile(id, value, note = "") {
		const [big, small] = this.#tiles.get(id);
		text(big, value);
		text(small, note);
	}

	// told takes what the server knows of the stream now.
	#told(info) {
		const returned = this.#info === null || this.#info.state !== "live" && info.state === "live";
		this.#info = info;
		this.#dot.className = `dot ${info.state}`;
		text(this.#state, info.state === "lingering" ? "publisher lost" : info.state);
		text(this.#since, `for ${age(info.created, Date.parse(info.time))}`);
		this.#showRates(info);
		this.#showTracks(info);
		this.#showSessions(info);
		if (!this.#player && !this.#retry && (returned || this.#failures === 0)) {
			if (!this.#picked) this.#form.value = this.#picked = known(this.#key.play) ?? chosen() ?? fitting(info.tracks);
			this.#play();
		}
	}

	#gone() {
		this.#info = null;
		this.#dot.className = "dot";
		text(this.#state, "not published");
		text(this.#since, "");
		this.#failures = 0;
		if (!this.#player && !this.#ended) this.#say("Nobody publishes this stream. It is played when somebody does.");
	}

	#showRates(info) {
		const total = info.tracks.reduce((n, t) => n + (t.measured?.bitrate ?? 0), 0);
		this.#tile("bitrate", bitrate(total), info.publisher ? `${bitrate(info.publisher.bitrate ?? 0)} on the wire` : "no publisher");
		this.#graph.add(total);
		const by = Object.entries(info.viewers).sort().map(([schema, n]) => `${n} ${schema}`);
		this.#tile("viewers", String(sum(info.viewers)), by.join(", "));
		const video = info.tracks.find((t) => t.kind === "video");
		this.#tile("fps", video?.measured ? rate(video.measured.frameRate) : "–", video?.frameRate ? `${rate(video.frameRate)} announced` : "");
		this.#tile("key", video?.measured?.keyInterval ? seconds(video.measured.keyInterval) : "–");
	}

	#showTracks(info) {
		const rows = info.tracks.map((t) => {
			const size = t.width ? `${t.width}×${t.height}` : t.sampleRate ? `${t.sampleRate} Hz, ${t.channels} ch` : "";
			return [
				`${t.codec}${t.profile ? ` ${t.profile}` : ""}${t.synthetic ? " (silence made here)" : ""}`, size,
				[t.codecString ?? "", "mono"], t.measured ? bitrate(t.measured.bitrate) : "", playable(t),
			];
		});
		this.#tracks.show(["Codec", "Form", "RFC 6381", ">Bitrate", "Here"], rows);
	}

	#showSessions(info) {
		const time = Date.parse(info.time);
		const row = (s, role) => {
			const cells = [[role, s.protocol].filter(Boolean).join(", "), age(s.start, time), bytes(s.bytes), trouble(s)];
			return told ? cells.toSpliced(1, 0, s.remote ?? "") : cells;
		};
		const told = [info.publisher, ...info.sessions ?? []].some((s) => s?.remote);
		const rows = info.publisher ? [row(info.publisher, "publisher")] : [];
		for (const s of info.sessions ?? []) rows.push(row(s, s.passive ? "passive" : "viewer"));
		const headings = ["Who", ">For", ">Bytes", "Trouble"];
		this.#sessions.show(told ? headings.toSpliced(1, 0, "Address") : headings, rows);
		text(this.#watching, info.watching > rows.length ? `Sessions (the first ${rows.length} of ${info.watching})` : "Sessions");
	}

	// showPlayer shows what the player says of itself.
	#showPlayer() {
		const player = this.#player, video = this.#video;
		if (!player || video.readyState === 0) {
			for (const id of ["latency", "buffer", "stalls", "picture"]) this.#tile(id, "–");
			return;
		}
		const { latency, buffered } = player;
		const hls = player.form.player === "hls";
		this.#tile("latency", latency == null ? "–" : `${hls ? "" : "≥ "}${seconds(Math.max(0, latency))}`,
			hls ? "since it reached the server" : "waiting in the browser");
		this.#tile("buffer", buffered == null ? "–" : seconds(buffered), video.playbackRate === 1 ? "" : `playing at ${video.playbackRate}×`);
		const quality = video.getVideoPlaybackQuality?.();
		this.#tile("stalls", String(player.stalls), quality ? `${quality.droppedVideoFrames} of ${quality.totalVideoFrames} frames dropped` : "");
		this.#tile("picture", video.videoWidth ? `${video.videoWidth}×${video.videoHeight}` : "sound only");
	}

	#choose(id) {
		try {
			localStorage.setItem("form", id);
		} catch { /* no storage, no memory */ }
		this.#failures = 0;
		this.#picked = id;
		this.#play();
	}

	#play() {
		this.#stop();
		this.#ended = false;
		const form = forms.find((f) => f.id === this.#form.value);
		const url = httpURL(this.#key, form.suffix, this.#server, form.ws);
		this.#say(`Opening ${form.label}…`);
		this.#player = new Player(this.#video, form, url, {
			state: (state) => this.#playing(state),
			error: (error) => this.#failed(error),
		});
	}

	#stop() {
		clearTimeout(this.#retry);
		this.#retry = null;
		this.#player?.stop();
		this.#player = null;
	}

	#playing(state) {
		switch (state) {
		case "playing":
			this.#failures = 0;
			this.#over.hidden = true;
			text(this.#said, "Playing");
			break;
		case "waiting":
			text(this.#said, "Waiting for data");
			break;
		case "blocked":
			this.#say("The browser wants you to begin.", h("button", { type: "button", click: () => this.#video.play() }, "Play"));
			break;
		case "ended":
			this.#stop();
			this.#ended = true;
			this.#say("The stream has ended. It is played again when it returns.");
			if (this.#info?.state === "live") this.#later(again[0]);
		}
	}

	#failed(error) {
		this.#stop();
		const retry = h("button", { type: "button", click: () => this.#play() }, "Try again");
		if (error.final) {
			this.#failures++;
			this.#say(`${error.message} Another form may work.`, retry);
			return;
		}
		const wait = again[Math.min(this.#failures++, again.length - 1)];
		this.#say(`${error.message} Trying again in ${wait} s.`, retry);
		this.#later(wait);
	}

	#later(wait) {
		this.#retry = setTimeout(() => {
			this.#retry = null;
			if (this.#info) this.#play();
		}, wait * 1000);
	}

	// say covers the picture with words.
	#say(words, ...more) {
		this.#over.replaceChildren(h("p", {}, words), ...more);
		this.#over.hidden = false;
		text(this.#said, words);
	}
}

// known is the id of a form if it is one, else null.
const known = (id) => forms.some((f) => f.id === id) ? id : null;

// chosen is the form that was chosen last, null if none was.
function chosen() {
	try {
		return known(localStorage.getItem("form"));
	} catch {
		return null;
	}
}

// trouble tells what went wrong in a session.
function trouble(s) {
	if (s.dropped || s.repairs) return `${s.dropped ?? 0} frames refused, ${s.repairs ?? 0} times repaired`;
	if (s.jumps) return `${s.jumps} jumps, ${s.skipped} frames skipped`;
	return s.lag > 1 ? `${seconds(s.lag)} behind` : "none";
}

// playable tells whether this browser can decode a track.
function playable(t) {
	const known = { MP3: "mp4a.6B", AAC: "mp4a.40.2" }[t.codec];
	const name = t.codecString || known;
	if (!name || t.kind === "data") return ["no", "quiet"];
	const ok = window.MediaSource?.isTypeSupported(`${t.kind}/mp4; codecs="${name}"`);
	return ok ? ["plays", "yes"] : ["no decoder", "no"];
}
