// The page: a list of streams, and the one that was picked.

import * as api from "./api.js";
import { h, text } from "./dom.js";
import { help } from "./help.js";
import { link, linked, StreamList } from "./list.js";
import { StreamView } from "./stream.js";

const step = 100; // streams that are listed at first, and more with each request for more
const every = 2000; // milliseconds between two looks at the list

const [summary, search, more, trouble, view] = ["summary", "search", "more", "trouble", "view"].map((id) => document.getElementById(id));
const streams = new StreamList(document.getElementById("streams"));
let limit = step;
let server = null;
let shown = null; // the StreamView, or null
let current = ""; // the part of the address that names what is picked
let timer;
let asked = 0; // how often the list was asked for

async function refresh() {
	clearTimeout(timer);
	const mine = ++asked;
	try {
		server ??= await api.server();
		const listed = await api.list(search.value.trim(), limit);
		if (mine !== asked) return; // a newer one is on its way
		trouble.hidden = true;
		showList(listed);
	} catch (error) {
		if (mine !== asked) return;
		text(trouble, `The server does not answer (${error.message}). Trying again.`);
		trouble.hidden = false;
	}
	if (!document.hidden) timer = setTimeout(refresh, every);
}

function showList(listed) {
	text(summary, listed.total === 1 ? "1 stream" : `${listed.total} streams`);
	streams.show(listed.streams, current, listed.total === 0 ? "Nothing is published." : "No stream is called so.");
	const left = listed.matching - listed.streams.length;
	more.hidden = left <= 0;
	text(more, `Show more (${left} left)`);
	if (!shown) pick();
	if (!shown) welcome(listed.total);
}

// pick shows the stream that the page's address names.
function pick() {
	if (!server) return;
	const key = linked(location.hash);
	const wanted = key ? link(key) : "";
	if (wanted === current && (shown || !key)) return;
	shown?.close();
	shown = null;
	current = wanted;
	streams.mark(current);
	welcomed = null;
	view.replaceChildren();
	document.title = "Streams · MediaKit";
	if (!key) {
		refresh();
		return;
	}
	document.title = `${key.app}/${key.stream} · MediaKit`;
	shown = new StreamView(key, server);
	view.append(shown.element, h("details", { class: "card" }, h("summary", {}, "How to publish"), help(server)));
}

let welcomed = null; // what welcome has shown

// welcome is shown while nothing is picked.
function welcome(total) {
	const empty = total === 0;
	if (welcomed === empty) return;
	welcomed = empty;
	view.replaceChildren(h("section", { class: "card" },
		h("h2", {}, empty ? "Nothing is published yet" : "Pick a stream, or publish another one"),
		h("p", { class: "quiet" }, "A stream appears in the list as soon as it is published. Its name is yours to choose: app/stream, such as live/test."),
		help(server)));
}

search.addEventListener("input", () => {
	limit = step;
	refresh();
});
more.addEventListener("click", () => {
	limit += step;
	refresh();
});
window.addEventListener("hashchange", () => {
	pick();
	if (shown && matchMedia("(max-width: 52rem)").matches) document.getElementById("main").focus();
});
document.addEventListener("visibilitychange", () => {
	if (!document.hidden) refresh();
});
document.addEventListener("keydown", (event) => {
	if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
	event.preventDefault();
	search.focus();
});
refresh();
