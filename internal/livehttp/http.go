package livehttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// serveHTTP waits for the stream and shows it as the endless body of an answer.
// ctx is the session's.
func (v *viewer) serveHTTP(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	gone := context.AfterFunc(r.Context(), v.cancel)
	cur, err := v.find(ctx, r)
	if !gone() && cur != nil { // the peer left at the last moment
		_ = cur.Close()
		err = context.Canceled
	}
	if err != nil {
		if r.Context().Err() == nil {
			err = v.why(err)
			v.refused(err)
			Refuse(w, r, err)
		}
		v.leave()
		return
	}
	liveHeader(w.Header(), v.opt)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		if !errors.Is(err, http.ErrNotSupported) {
			_ = cur.Close()
			v.leave()
			return
		}
		v.serveResponse(w, r, cur)
		return
	}
	_ = conn.SetDeadline(time.Time{}) // those of http.Server
	v.mu.Lock()
	v.conn = conn
	v.mu.Unlock()
	if v.deliver(cur, source.DeliverOptions{Prefix: head(r, w.Header())}) != nil {
		_ = conn.Close()
		v.leave()
		return
	}
	v.watched = true
	go v.watch(nil)
}

// find waits for the stream that the viewer wants.
func (v *viewer) find(ctx context.Context, r *http.Request) (*source.Cursor, error) {
	rd, err := Play(ctx, v.opt.Handler, r, v.req)
	if err != nil {
		return nil, err
	}
	cur, err := source.FeedOf(ctx, rd, v.opt.Format)
	if err != nil {
		_ = rd.Close()
		return nil, err
	}
	return cur, nil
}
