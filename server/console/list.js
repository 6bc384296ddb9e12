import { h, text } from "./dom.js";
import { sum } from "./units.js";

// A StreamList is the list of streams to pick from. Its entries are links, so that they
// can be kept and opened in other tabs.
export class StreamList {
	#element;
	#rows = new Map(); // by href
	#none = h("li", { class: "none", hidden: true });

	constructor(element) {
		this.#element = element;
		element.append(this.#none);
		element.addEventListener("keydown", (event) => {
			const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
			if (!step) return;
			const links = [...element.querySelectorAll("a")];
			links[links.indexOf(document.activeElement) + step]?.focus();
			event.preventDefault();
		});
	}

	// show makes the list that of streams, with the one at href current.
	show(streams, current, nothing) {
		const seen = new Set();
		let before = this.#none;
		for (const stream of streams) {
			const href = link(stream);
			seen.add(href);
			let row = this.#rows.get(href);
			if (!row) {
				row = newRow(href, stream);
				this.#rows.set(href, row);
			}
			if (before.nextSibling !== row.item) before.after(row.item);
			before = row.item;
			row.dot.className = `dot ${stream.state}`;
			text(row.state, `, ${stream.state}`);
			text(row.about, about(stream));
		}
		for (const [href, row] of this.#rows) {
			if (!seen.has(href)) {
				row.item.remove();
				this.#rows.delete(href);
			}
		}
		this.#none.hidden = streams.length > 0;
		text(this.#none, nothing);
		this.mark(current);
	}

	// mark makes the entry at href current.
	mark(current) {
		for (const [href, row] of this.#rows) {
			if (href === current) row.link.setAttribute("aria-current", "true");
			else row.link.removeAttribute("aria-current");
		}
	}
}

function newRow(href, stream) {
	const dot = h("span", { class: "dot" });
	const state = h("span", { class: "hidden" });
	const about = h("span", { class: "about" });
	const a = h("a", { href }, h("span", { class: "name" }, dot, h("span", {}, `${stream.app}/${stream.stream}`, state)), about);
	return { item: h("li", {}, a), link: a, dot, state, about };
}

function about(stream) {
	const parts = stream.tracks.map((t) => t.kind === "video" && t.height ? `${t.codec} ${t.height}p` : t.codec);
	const viewers = sum(stream.viewers);
	parts.push(viewers === 1 ? "1 viewer" : `${viewers} viewers`);
	return parts.join(" · ");
}

// link is the part of the page's address that names a stream.
export function link(key) {
	const name = [key.app, ...key.stream.split("/")].map(encodeURIComponent).join("/");
	return `#/${name}${key.vhost === "__defaultVhost__" ? "" : `?vhost=${encodeURIComponent(key.vhost)}`}`;
}

// linked is the stream that a part of an address names, null if none. With
// "play" in its query the part says by which form to play it.
export function linked(hash) {
	const [path, query] = hash.replace(/^#\/?/, "").split("?");
	let names;
	try {
		names = path.split("/").map(decodeURIComponent);
	} catch {
		return null;
	}
	if (names.length < 2 || names.includes("")) return null;
	const more = new URLSearchParams(query);
	return { vhost: more.get("vhost") ?? "__defaultVhost__", app: names[0], stream: names.slice(1).join("/"), play: more.get("play") };
}
