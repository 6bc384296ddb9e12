// How to publish.

import { copyButton, h } from "./dom.js";
import { address, base } from "./urls.js";

// help shows commands that publish to this server.
export function help(server) {
	const rtmp = base("rtmp", server) ?? base("rtmps", server);
	const rtsp = base("rtsp", server) ?? base("rtsps", server);
	const parts = [];
	const command = (what, line) => {
		parts.push(h("h3", {}, what), h("div", { class: "command" }, h("pre", { tabindex: "0" }, h("code", {}, line)), copyButton("command", () => line)));
	};
	const encode = "-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 60 -c:a aac";
	if (rtmp || rtsp) {
		const out = rtmp ? `-f flv ${rtmp}/live/test` : `-f rtsp -rtsp_transport tcp ${rtsp}/live/test`;
		command("A test picture with ffmpeg", `ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440 ${encode} ${out}`);
	}
	if (rtmp) {
		command("A file with ffmpeg, by RTMP", `ffmpeg -re -stream_loop -1 -i film.mp4 -c copy -f flv ${rtmp}/live/film`);
		parts.push(h("h3", {}, "OBS Studio"), h("p", { class: "quiet" }, "Settings, Stream:"), h("dl", {},
			h("dt", {}, "Service"), h("dd", {}, "Custom…"),
			h("dt", {}, "Server"), h("dd", {}, h("code", {}, `${rtmp}/live`)),
			h("dt", {}, "Stream Key"), h("dd", {}, h("code", {}, "studio"), " (any name)")),
		h("p", { class: "quiet" }, "Settings, Output: a keyframe interval of 1 or 2 s lets viewers start at once."));
	}
	if (rtsp) command("A file with ffmpeg, by RTSP", `ffmpeg -re -stream_loop -1 -i film.mp4 -c copy -f rtsp -rtsp_transport tcp ${rtsp}/live/film`);
	if (parts.length === 0) parts.push(h("p", { class: "quiet" }, `Nobody has told this page where ${address(location.host)} takes streams.`));
	return h("div", { class: "help" }, parts);
}
