// Elements are made of strings that are only ever set as text: names of streams
// come from strangers.

// h makes an element. Attributes that are functions are listeners, true and
// false are attributes that are there or not.
export function h(tag, attributes = {}, ...children) {
	const el = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === "function") el.addEventListener(name, value);
		else if (value === true) el.setAttribute(name, "");
		else if (value !== false && value != null) el.setAttribute(name, value);
	}
	el.append(...children.flat().filter((c) => c != null));
	return el;
}

// svg makes an element of a drawing.
export function svg(tag, attributes = {}, ...children) {
	const el = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
	el.append(...children);
	return el;
}

// text sets an element's text unless it is that already, which would end a
// selection and be read out again.
export function text(el, value) {
	if (el.textContent !== value) el.textContent = value;
}

// A Table shows rows of cells under headings, of which those that begin with ">"
// are of numbers. A cell is a text, or [text, class]. What has not changed stays as
// it is, so that it can be selected and read out.
export class Table {
	element;
	#head = h("tr");
	#body = h("tbody");
	#headings = "";

	constructor(caption) {
		this.element = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
			h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, this.#head), this.#body));
	}

	show(headings, rows) {
		const kind = headings.map((head) => head.startsWith(">") ? "num" : "");
		if (this.#headings !== headings.join()) {
			this.#headings = headings.join();
			this.#head.replaceChildren(...headings.map((head, i) => h("th", { scope: "col", class: kind[i] }, head.replace(/^>/, ""))));
			this.#body.replaceChildren();
		}
		while (this.#body.rows.length > rows.length) this.#body.lastChild.remove();
		rows.forEach((cells, i) => {
			const row = this.#body.rows[i] ?? this.#body.appendChild(h("tr", {}, headings.map(() => h("td"))));
			cells.forEach((cell, k) => {
				const [value, name] = Array.isArray(cell) ? cell : [cell, ""];
				text(row.cells[k], value);
				row.cells[k].className = `${kind[k]} ${name}`.trim();
			});
		});
	}
}

// copyButton copies what source() returns. Browsers have a clipboard for secure
// origins only; elsewhere the old command does.
export function copyButton(what, source) {
	const label = h("span", {}, "Copy");
	const said = h("span", { class: "hidden", role: "status" });
	return h("button", {
		type: "button", "aria-label": `Copy ${what}`,
		click: async (event) => {
			const button = event.currentTarget;
			let ok = true;
			try {
				await navigator.clipboard.writeText(source());
			} catch {
				const area = h("textarea", { class: "hidden", readonly: true });
				area.value = source();
				document.body.append(area);
				area.select();
				ok = document.execCommand("copy");
				area.remove();
				button.focus();
			}
			text(label, ok ? "Copied" : "No");
			text(said, ok ? `${what} copied` : `${what} could not be copied`);
			setTimeout(() => { text(label, "Copy"); text(said, ""); }, 1500);
		},
	}, label, said);
}
