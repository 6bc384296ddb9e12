package livehttp

import "log/slog"

// log writes a line about the session, unless peers have provoked too many.
func (v *viewer) log(level slog.Level, text string, args ...any) {
	args = append(args, "stream", v.req.Key.Path(), "id", v.req.ID, "protocol", v.req.Protocol, "remote", v.req.Remote)
	v.out.log.Log(v.opt.Logger, level, v.opt.Name+": "+text, args...)
}
