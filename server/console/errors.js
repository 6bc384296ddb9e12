// A PlayError says for people why a stream is not played. A final one will not go
// away by trying again.
export class PlayError extends Error {
	constructor(message, final = false) {
		super(message);
		this.final = final;
	}

	// status is the error for the status of an HTTP answer.
	static status(code, text = "") {
		const known = {
			401: "The server wants a login for this stream.",
			403: "The server does not allow this.",
			404: "The server has no such stream, or not in this form.",
			503: "The server has no room for another viewer.",
		};
		return new PlayError(known[code] ?? `The server answered ${code}${text && `: ${text}`}.`);
	}

	// closed is the error for the code that a WebSocket was closed with.
	static closed(code, reason) {
		if (code === 1006) return new PlayError("The connection was lost, or the server does not offer this form.");
		return new PlayError(`The server closed the connection: ${reason || code}.`);
	}
}
