// What the server tells; see the documentation of server.Console for the fields.

const base = new URL("api/v1/", document.baseURI);

// offset is how far the server's clock is ahead of this one, in milliseconds. It
// is taken from a quick answer, for it can be off by half the time that took; but
// not from one of long ago, for clocks are set.
let offset = 0;
let quickest = Infinity;

// serverNow is the time by the server's clock.
export const serverNow = () => Date.now() + offset;

// path is the part of a URL that names a stream.
export function path(key) {
	return [key.app, ...key.stream.split("/")].map(encodeURIComponent).join("/");
}

// vhostQuery is what a stream's URL needs behind its path.
export function vhostQuery(key) {
	return key.vhost && key.vhost !== "__defaultVhost__" ? `vhost=${encodeURIComponent(key.vhost)}` : "";
}

async function get(name) {
	const before = performance.now();
	const answer = await fetch(new URL(name, base), { signal: AbortSignal.timeout(10_000) });
	const took = performance.now() - before;
	if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
	const value = await answer.json();
	quickest *= 1.1;
	if (took <= quickest) {
		quickest = took;
		offset = Date.parse(value.time) + took / 2 - Date.now();
	}
	return value;
}

export const server = () => get("server");

export const list = (search, limit) => get(`streams?${new URLSearchParams({ q: search, limit })}`);

// watch calls told with what is known of a stream each second, and gone when
// there is none (any more); it goes on asking. It returns a function that ends that.
export function watch(key, told, gone) {
	const url = new URL(`streams/${path(key)}?${vhostQuery(key)}`, base);
	let events, timer, over = false;
	const again = () => {
		events?.close();
		events = null;
		if (!over) timer = setTimeout(open, 2000);
	};
	function open() {
		clearTimeout(timer);
		if (over || events || document.hidden) return;
		events = new EventSource(url);
		events.addEventListener("stream", (event) => told(JSON.parse(event.data)));
		events.addEventListener("end", () => { again(); gone(); });
		events.addEventListener("error", () => { // if not closed, the browser tries again itself
			if (events?.readyState === EventSource.CLOSED) again();
		});
	}
	// A browser has six connections to a server, for all pages together: one that
	// is not looked at shall not hold one.
	function seen() {
		if (document.hidden) { events?.close(); events = null; } else open();
	}
	document.addEventListener("visibilitychange", seen);
	open();
	return () => {
		over = true;
		clearTimeout(timer);
		events?.close();
		document.removeEventListener("visibilitychange", seen);
	};
}
