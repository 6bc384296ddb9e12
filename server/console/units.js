// Numbers as people read them.

export const bitrate = (bps) => bps >= 1e6 ? `${(bps / 1e6).toFixed(2)} Mbit/s` : `${Math.round(bps / 1e3)} kbit/s`;

export function bytes(n) {
	for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
		if (n >= size) return `${(n / size).toFixed(1)} ${unit}`;
	}
	return `${n} B`;
}

export function age(since, now) {
	const s = Math.max(0, Math.round((now - Date.parse(since)) / 1000));
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
	if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
	return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

export const seconds = (s) => s < 1 ? `${Math.round(s * 1000)} ms` : `${s.toFixed(2)} s`;

export const sum = (viewers) => Object.values(viewers).reduce((a, b) => a + b, 0);

export const rate = (fps) => `${Number(fps.toFixed(2))} fps`;
