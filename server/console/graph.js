import { h, svg, text } from "./dom.js";
import { bitrate } from "./units.js";

const length = 60; // values it shows, one a second
const width = 600, height = 100;

// A Graph draws the bitrate of the last minute.
export class Graph {
	#values = [];
	#area = svg("path", { class: "area" });
	#line = svg("path", { class: "line" });
	#most = h("span");
	#svg = svg("svg", { class: "graph", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" },
		svg("path", { class: "axis", d: `M0 ${height}H${width}` }), this.#area, this.#line);
	element = h("div", {}, this.#svg, h("p", { class: "legend" }, h("span", {}, "Bitrate, last minute"), this.#most));

	add(value) {
		this.#values.push(value);
		if (this.#values.length > length) this.#values.shift();
		const most = Math.max(...this.#values, 1);
		const points = this.#values.map((v, i) => {
			const x = (length - this.#values.length + i) * width / (length - 1);
			return `${x.toFixed(1)} ${(height - v / most * height * 0.95).toFixed(1)}`;
		});
		const start = ((length - this.#values.length) * width / (length - 1)).toFixed(1);
		this.#line.setAttribute("d", `M${points.join("L")}`);
		this.#area.setAttribute("d", `M${start} ${height}L${points.join("L")}L${width} ${height}Z`);
		text(this.#most, `at most ${bitrate(most)}`);
		this.#svg.setAttribute("aria-label", `Bitrate of the last minute: now ${bitrate(value)}, at most ${bitrate(most)}`);
	}
}
