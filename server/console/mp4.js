// What must be known of fragmented MP4 (ISO/IEC 14496-12) to hand it to Media
// Source Extensions: where boxes end, and which codecs the tracks have.

const name = (b, at) => String.fromCharCode(b[at], b[at + 1], b[at + 2], b[at + 3]);
const u16 = (b, at) => b[at] << 8 | b[at + 1];
const u32 = (b, at) => (u16(b, at) << 16 | u16(b, at + 2)) >>> 0;
const hex = (n) => n.toString(16).padStart(2, "0");

const maxBox = 64 << 20;

// A Boxes gives whole top-level boxes of a stream that comes in pieces of any size.
export class Boxes {
	#rest = new Uint8Array(0);

	// push returns the boxes that piece completes, as [type, bytes].
	push(piece) {
		let b = piece;
		if (this.#rest.length > 0) {
			b = new Uint8Array(this.#rest.length + piece.length);
			b.set(this.#rest);
			b.set(piece, this.#rest.length);
		}
		const boxes = [];
		let at = 0;
		while (b.length - at >= 8) {
			const size = u32(b, at);
			if (size < 8 || size > maxBox) throw new Error("this is no fragmented MP4");
			if (b.length - at < size) break;
			boxes.push([name(b, at + 4), b.subarray(at, at + size)]);
			at += size;
		}
		this.#rest = b.slice(at);
		return boxes;
	}
}

// children yields the boxes in b from at on, as [type, bytes without header].
function* children(b, at = 0) {
	while (b.length - at >= 8) {
		const size = u32(b, at);
		if (size < 8 || size > b.length - at) return;
		yield [name(b, at + 4), b.subarray(at + 8, at + size)];
		at += size;
	}
}

function find(b, ...types) {
	for (const type of types) {
		b = [...children(b)].find(([t]) => t === type)?.[1];
		if (!b) return null;
	}
	return b;
}

// mimeType returns the type of what follows a moov box, with the codecs of RFC 6381.
export function mimeType(moov) {
	const codecs = [];
	let video = false;
	for (const [type, trak] of children(moov, 8)) {
		const stsd = type === "trak" && find(trak, "mdia", "minf", "stbl", "stsd");
		if (!stsd) continue;
		for (const [format, entry] of children(stsd, 8)) {
			const codec = codecString(format, entry);
			video ||= codec.video;
			codecs.push(codec.name);
		}
	}
	return `${video ? "video" : "audio"}/mp4; codecs="${codecs.join(",")}"`;
}

// codecString names what a sample entry describes. Behind the fields of visual
// (78 bytes) and audio ones (28) is the box with the decoder's configuration.
function codecString(format, entry) {
	const visual = (type) => find(entry.subarray(78), type) ?? new Uint8Array(32);
	const audio = (type) => find(entry.subarray(28), type);
	switch (format) {
	case "avc1": case "avc3": {
		const c = visual("avcC");
		return { video: true, name: `${format}.${hex(c[1])}${hex(c[2])}${hex(c[3])}` };
	}
	case "hvc1": case "hev1":
		return { video: true, name: hevc(format, visual("hvcC")) };
	case "av01": {
		const c = visual("av1C");
		const depth = c[2] & 0x40 ? (c[2] & 0x20 ? 12 : 10) : 8;
		return { video: true, name: `av01.${c[1] >> 5}.${two(c[1] & 31)}${c[2] & 0x80 ? "H" : "M"}.${two(depth)}` };
	}
	case "vp08": case "vp09": {
		const c = visual("vpcC");
		return { video: true, name: `${format}.${two(c[4])}.${two(c[5])}.${two(c[6] >> 4)}` };
	}
	case "mp4v":
		return { video: true, name: `mp4v.${object(visual("esds"))}` };
	case "mp4a":
		return { name: `mp4a.${object(audio("esds") ?? new Uint8Array(32))}` };
	case "Opus":
		return { name: "opus" };
	}
	return { name: format };
}

const two = (n) => String(n).padStart(2, "0");

// hevc follows ISO/IEC 14496-15, E.3: profile, compatibility flags in reverse
// order, tier and level, constraint bytes without trailing zeros.
function hevc(format, c) {
	let flags = 0;
	for (let i = 0, compatible = u32(c, 2); i < 32; i++) flags |= (compatible >>> i & 1) << (31 - i);
	const constraints = [...c.subarray(6, 12)];
	while (constraints.length > 0 && constraints.at(-1) === 0) constraints.pop();
	return [
		format, ["", "A", "B", "C"][c[1] >> 6] + (c[1] & 31), (flags >>> 0).toString(16).toUpperCase(),
		(c[1] & 0x20 ? "H" : "L") + c[12], ...constraints.map((n) => n.toString(16).toUpperCase()),
	].join(".");
}

// object reads the descriptors of an esds box (ISO/IEC 14496-1, 7.2.6): the object
// type, and of AAC the audio object type.
function object(esds) {
	let at = 4;
	const descriptor = () => { // returns the tag, and goes to what is in it
		const tag = esds[at++];
		while (esds[at++] & 0x80);
		return tag;
	};
	if (descriptor() !== 3) return "40.2";
	const flags = esds[at + 2];
	at += 3 + (flags & 0x80 ? 2 : 0) + (flags & 0x20 ? 2 : 0);
	if (flags & 0x40) at += 1 + esds[at];
	if (descriptor() !== 4) return "40.2";
	const type = esds[at];
	at += 13;
	if (type !== 0x40) return hex(type).toUpperCase();
	if (descriptor() !== 5) return "40.2";
	let audio = esds[at] >> 3;
	if (audio === 31) audio = 32 + ((esds[at] & 7) << 3 | esds[at + 1] >> 5);
	return `40.${audio}`;
}
