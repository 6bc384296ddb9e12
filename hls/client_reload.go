package hls

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

const (
	maxRefused = 3           // playlists in a row
	maxStale   = 8           // target durations in which a live playlist has to change
	maxWait    = time.Minute // between two reloads, whatever the target duration
)

// reload waits until it is time to load the playlist again, and does so
// (RFC 8216bis, 6.3.4).
func (r *rendition) reload(ctx context.Context) error {
	target := min(r.list.target, maxWait)
	wait := target
	if r.same || r.refused > 0 {
		wait = target / 2
	}
	if err := sleep(ctx, time.Until(r.loaded.Add(wait))); err != nil {
		return err
	}
	r.loaded = time.Now()
	r.count.reloads.Add(1)
	list, err := r.fetchList(ctx)
	stale := time.Since(r.fresh) > maxStale*target
	if err != nil {
		r.refused++
		r.count.retries.Add(1)
		var refusal *StatusError
		if errors.As(err, &refusal) && refusal.Code < 500 && r.refused >= maxRefused || stale || ctx.Err() != nil {
			return err
		}
		return nil
	}
	r.refused = 0
	r.same = !r.take(list)
	if r.same && stale {
		return fmt.Errorf("%w: the playlist has not changed for %v", source.ErrTimeout, maxStale*target)
	}
	return nil
}

func (r *rendition) fetchList(ctx context.Context) (*remoteMedia, error) {
	b, at, err := r.fetch.playlist(ctx, r.url)
	if err != nil {
		return nil, err
	}
	return parseMedia(at, b)
}

// take makes list the current one and reports whether it has anything new.
func (r *rendition) take(list *remoteMedia) bool {
	old := r.list
	if len(list.segments) == 0 {
		old.ended = list.ended
		return old.ended
	}
	if len(old.segments) == 0 {
		r.enter(list)
		return true
	}
	if !continues(old, list) {
		r.log.Info("hls: playlist begins anew", "url", r.url.Redacted())
		r.enter(list)
		r.lost, r.anew = true, true
		r.restarts++
		r.init, r.roles = "", map[int]*role{}
		return true
	}
	if list.end() < old.end() {
		return false // an old copy
	}
	r.list = list
	if first := list.segments[0].sequence; first > r.next {
		r.count.expired.Add(first - r.next)
		r.next, r.lost = first, true
	}
	if late := list.after(r.next) - maxAhead; !list.ended && late > list.after(list.join()) {
		r.count.expired.Add(list.join() - r.next)
		r.enter(list)
		r.lost = true
	}
	return list.end() > old.end() || list.ended
}

// continues reports whether list is a later or an older copy of old, not that of
// a server which has begun anew.
func continues(old, list *remoteMedia) bool {
	first := list.segments[0].sequence
	if first > old.end() {
		return true
	}
	for i := range list.segments {
		s := &list.segments[i]
		if o := old.at(s.sequence); o != nil {
			return path(o.uri) == path(s.uri) && o.from == s.from
		}
	}
	return first == old.end()
}

// path returns uri without its query, in which some servers have something new
// each time.
func path(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	return uri
}
