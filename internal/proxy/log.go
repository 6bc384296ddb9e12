package proxy

import "log/slog"

// Log writes a line about a proxy, with the reason if there is one: an error. log may
// be nil, which discards.
func Log(log *slog.Logger, what string, reason error, attrs ...any) {
	if log == nil {
		return
	}
	if reason != nil {
		attrs = append(attrs, "reason", reason)
	}
	log.Info(what, attrs...)
}
