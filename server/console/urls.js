// Where a stream is to be had.

import { path, vhostQuery } from "./api.js";

// forms lists what a browser can play: how it is called, which player does it
// (player.js), and what the URL ends with.
export const forms = [
	{ id: "ws-flv", group: "FLV", label: "WebSocket-FLV", player: "mpegts", type: "flv", ws: true, suffix: ".live.flv" },
	{ id: "http-flv", group: "FLV", label: "HTTP-FLV", player: "mpegts", type: "flv", suffix: ".live.flv" },
	{ id: "ws-fmp4", group: "Fragmented MP4", label: "WebSocket-fMP4", player: "mse", ws: true, suffix: ".live.mp4" },
	{ id: "http-fmp4", group: "Fragmented MP4", label: "HTTP-fMP4", player: "mse", suffix: ".live.mp4" },
	{ id: "ws-ts", group: "MPEG-TS", label: "WebSocket-TS", player: "mpegts", type: "mpegts", ws: true, suffix: ".live.ts" },
	{ id: "http-ts", group: "MPEG-TS", label: "HTTP-TS", player: "mpegts", type: "mpegts", suffix: ".live.ts" },
	{ id: "ll-hls", group: "HLS", label: "Low-latency HLS (fMP4)", player: "hls", low: true, suffix: "/hls.fmp4.m3u8" },
	{ id: "ll-hls-ts", group: "HLS", label: "Low-latency HLS (TS)", player: "hls", low: true, suffix: "/hls.m3u8" },
	{ id: "hls-fmp4", group: "HLS", label: "HLS (fMP4)", player: "hls", suffix: "/hls.fmp4.m3u8" },
	{ id: "hls-ts", group: "HLS", label: "HLS (TS)", player: "hls", suffix: "/hls.m3u8" },
];

// fitting is the form to begin with: the quickest that can carry the tracks.
export function fitting(tracks) {
	const flv = new Set(["H264", "H265", "AV1", "AAC", "MP3"]);
	return tracks.every((t) => flv.has(t.codec) || t.kind === "data") ? "ws-flv" : "ws-fmp4";
}

// httpURL is where a stream is by HTTP or WebSocket.
export function httpURL(key, suffix, server, ws) {
	const root = new URL(`${server.media || location.origin}/`);
	const url = new URL(path(key) + suffix, root);
	if (ws) url.protocol = url.protocol.replace("http", "ws");
	url.search = vhostQuery(key);
	return url.href;
}

// address completes an address that has no host.
export const address = (a) => a.startsWith(":") ? location.hostname + a : a;

// portless leaves out the port that a scheme has anyway.
const portless = (a, port) => a.endsWith(`:${port}`) ? a.slice(0, -port.length - 1) : a;

const schemes = [["rtmp", "1935"], ["rtmps", "443"], ["rtsp", "554"], ["rtsps", "322"]];

// base is where streams are by a scheme that is no HTTP, null if they are not.
export function base(scheme, server) {
	const port = schemes.find(([name]) => name === scheme)[1];
	return server[scheme] ? `${scheme}://${portless(address(server[scheme]), port)}` : null;
}

// all lists every URL that a stream can be played from, as [label, URL].
export function all(key, server) {
	const query = vhostQuery(key);
	const urls = [];
	for (const [scheme] of schemes) {
		const root = base(scheme, server);
		if (root) urls.push([scheme.toUpperCase(), `${root}/${path(key)}${query && "?"}${query}`]);
	}
	urls.push(["HLS", httpURL(key, "/index.m3u8", server)]);
	for (const [label, suffix, ws] of [
		["HLS, fMP4", "/hls.fmp4.m3u8"], ["HLS, TS", "/hls.m3u8"],
		["HTTP-FLV", ".live.flv"], ["WS-FLV", ".live.flv", true],
		["HTTP-TS", ".live.ts"], ["WS-TS", ".live.ts", true],
		["HTTP-fMP4", ".live.mp4"], ["WS-fMP4", ".live.mp4", true],
	]) {
		urls.push([label, httpURL(key, suffix, server, ws)]);
	}
	return urls;
}
