package pusher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/mediakit-go/mediakit/internal/proxy"
	"github.com/mediakit-go/mediakit/source"
)

// Proxies push streams of a [source.Hub] to URLs, each whenever it is there, again
// and again if they have to:
//
//	proxies := &pusher.Proxies{Hub: hub, File: "pushers.json"}
//	err := proxies.Load() // those of the last time
//	id, err := proxies.Add(pusher.Proxy{Key: key, URL: "rtmp://example.com/live/cam"})
//	defer proxies.Close()
//
// Each attempt begins with the newest key frame that the stream has, so that what
// comes out begins with a picture. While the target is away the stream passes by;
// a target that is too slow misses what lies before the newest key frame, as any
// viewer does.
//
// A proxy ends when it has failed too often in a row or for a reason that no other
// attempt mends, when its session is kicked, when the Hub is closed, and with
// EndWithSource when the stream does. It is listed, with the reason, until it is
// deleted or another one takes its place.
//
// Several goroutines may use it. Fields must not change once it was used.
type Proxies struct {
	Hub    *source.Hub
	File   string         // where the proxies are kept, as JSON that has the passwords of URLs; "": they are not
	Client Client         // creates the URLs; its Retry does not count
	Retry  source.Backoff // the waits between attempts and their limits; its OnState and EndAtEOF do not count
	Logger *slog.Logger   // one line when the pushing begins or ends; nil discards

	// Sink creates the URL of a proxy in its own way. nil: Client does. What it
	// returns need not try again.
	Sink func(p Proxy) source.Sink

	// OnState is told when the state of a proxy has changed, in order and one call
	// at a time for each of them, which waits for it. It must not call Add, Delete
	// or Close. nil: nobody is.
	OnState func(ProxyStats)

	once   sync.Once
	roster proxy.Roster[Proxy, *push]
}

func (ps *Proxies) all() *proxy.Roster[Proxy, *push] {
	ps.once.Do(func() { ps.roster.File = ps.File })
	return &ps.roster
}

// Load starts the proxies in File; that there is none is no error. It is called
// before Add. Proxies that cannot be started are the error, and are forgotten with
// the next change.
func (ps *Proxies) Load() error {
	kept, err := ps.all().Kept()
	if err != nil {
		return fmt.Errorf("pusher: proxies: %w", err)
	}
	var errs []error
	for _, p := range kept {
		_, err := ps.start(p, ps.all().Resume)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Add starts a proxy and returns its ID. It has then neither succeeded nor failed:
// Wait tells. It fails with an error that wraps source.ErrBusy if there is one with
// this ID that has not ended, source.ErrBadKey or source.ErrClosed, or when File
// cannot be written.
func (ps *Proxies) Add(p Proxy) (id string, err error) { return ps.start(p, ps.all().Add) }

func (ps *Proxies) start(p Proxy, add func(string, Proxy, *push) error) (id string, err error) {
	p, err = p.complete()
	if err == nil {
		err = add(p.ID, p, ps.newPush(p))
	}
	if err != nil {
		return "", fmt.Errorf("pusher: proxy %s: %w", p.ID, err)
	}
	return p.ID, nil
}

// newPush returns what does the work of p.
func (ps *Proxies) newPush(p Proxy) *push {
	w := &push{Proxy: p, hub: ps.Hub, log: ps.Logger, retry: p.backoff(ps.Retry)}
	if ps.Sink != nil {
		w.target = ps.Sink(p)
	} else {
		w.target = p.sink(ps.Client)
	}
	if ps.OnState != nil {
		w.progress.Tell = func() { ps.OnState(w.stats()) }
	}
	return w
}

// Delete ends a proxy. It reports whether there was one; an error is that of
// writing File.
func (ps *Proxies) Delete(id string) (bool, error) {
	found, err := ps.all().Remove(id)
	if err != nil {
		err = fmt.Errorf("pusher: proxies: %w", err)
	}
	return found, err
}

// Wait waits until a proxy that was added pushes, which returns nil, or the first
// attempt fails, which returns why; another one may follow. One whose stream is not
// there is not waited for. The error wraps source.ErrNotFound if there is none.
func (ps *Proxies) Wait(ctx context.Context, id string) error {
	w, ok := ps.all().Get(id)
	if !ok {
		return fmt.Errorf("pusher: proxy %s: %w", id, source.ErrNotFound)
	}
	return w.progress.Wait(ctx)
}

// Stats returns the state and the counters of a proxy; false if there is none.
func (ps *Proxies) Stats(id string) (ProxyStats, bool) {
	w, ok := ps.all().Get(id)
	if !ok {
		return ProxyStats{}, false
	}
	return w.stats(), true
}

// List returns the state and the counters of all proxies, sorted by ID.
func (ps *Proxies) List() []ProxyStats {
	var list []ProxyStats
	for _, w := range ps.all().All() {
		list = append(list, w.stats())
	}
	return list
}

// Close ends all proxies and waits for it. They are kept in File.
func (ps *Proxies) Close() error {
	ps.all().Close()
	return nil
}
