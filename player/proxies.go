package player

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/mediakit-go/mediakit/internal/proxy"
	"github.com/mediakit-go/mediakit/source"
)

// Proxies pull streams into a [source.Hub]: for ever, again and again if they have
// to, or on demand.
//
//	hub := &source.Hub{}
//	proxies := &player.Proxies{Hub: hub, File: "proxies.json"}
//	hub.OnMiss = proxies.OnMiss // for those on demand
//	err := proxies.Load()       // those of the last time
//	err = proxies.Add(player.Proxy{Key: key, URL: "rtsp://192.168.1.20/stream1"})
//	defer proxies.Close()
//
// The source may come and go: its stream is one for those who watch, with a clock
// that goes on and a key frame after the break, as [source.Retry] says. When it
// stays away for longer than Options.Linger the stream ends, but not the pulling.
//
// A proxy ends when its stream is ended by somebody else (Hub.Kick, Stream.End),
// when nobody watches it for longer than IdleClose, when it has failed too often
// in a row or for a reason that no other attempt mends, and at the end of a file.
// It is listed, with the reason, until it is deleted or another one takes its
// place. One that is on demand never ends: it rests until somebody comes.
//
// Several goroutines may use it. Fields must not change once it was used.
type Proxies struct {
	Hub    *source.Hub
	File   string         // where the proxies are kept, as JSON that has the passwords of URLs; "": they are not
	Client Client         // opens the URLs; its Retry, Paced and Loop do not count
	Retry  source.Backoff // the waits between attempts and their limits; its OnState does not count
	Logger *slog.Logger   // one line when a source comes or goes; nil discards

	// Source opens the URL of a proxy in its own way. nil: Client does. What it
	// returns need not try again.
	Source func(p Proxy) source.Source

	// OnState is told when the state of a proxy has changed, in order and one call
	// at a time for each of them, which waits for it. It must not call Add, Delete
	// or Close. nil: nobody is.
	OnState func(ProxyStats)

	// Next is asked by OnMiss for streams that no proxy has. nil: viewers of those
	// wait for a publisher.
	Next func(ctx context.Context, req *source.Request) (source.Source, error)

	once   sync.Once
	roster proxy.Roster[Proxy, *pull]
}

func (ps *Proxies) all() *proxy.Roster[Proxy, *pull] {
	ps.once.Do(func() { ps.roster.File = ps.File })
	return &ps.roster
}

// idOf returns the id of the proxy that has a key, with or without Vhost.
func idOf(key source.Key) string {
	key.Vhost = cmp.Or(key.Vhost, source.DefaultVhost)
	return key.String()
}

// Load starts the proxies in File; that there is none is no error. It is called
// before Add. Proxies that cannot be started are the error, and are forgotten with
// the next change.
func (ps *Proxies) Load() error {
	kept, err := ps.all().Kept()
	if err != nil {
		return fmt.Errorf("player: proxies: %w", err)
	}
	var errs []error
	for _, p := range kept {
		errs = append(errs, ps.start(p, ps.all().Resume))
	}
	return errors.Join(errs...)
}

// Add starts a proxy, which has then neither succeeded nor failed: Wait tells. It
// fails with an error that wraps source.ErrBusy if the stream has a proxy that has
// not ended, source.ErrBadKey or source.ErrClosed, or when File cannot be written.
func (ps *Proxies) Add(p Proxy) error { return ps.start(p, ps.all().Add) }

func (ps *Proxies) start(p Proxy, add func(string, Proxy, *pull) error) error {
	p, err := p.complete()
	if err == nil {
		err = add(idOf(p.Key), p, ps.newPull(p))
	}
	if err != nil {
		return fmt.Errorf("player: proxy of %s: %w", p.Key, err)
	}
	return nil
}

// newPull returns what does the work of p.
func (ps *Proxies) newPull(p Proxy) *pull {
	w := &pull{Proxy: p, hub: ps.Hub, log: ps.Logger, retry: p.backoff(ps.Retry)}
	if ps.Source != nil {
		w.origin = ps.Source(p)
	} else {
		w.origin = p.source(ps.Client)
	}
	if ps.OnState != nil {
		w.progress.Tell = func() { ps.OnState(w.stats()) }
	}
	w.begin()
	return w
}

// Delete ends a proxy, and with it its stream. It reports whether there was one;
// an error is that of writing File.
func (ps *Proxies) Delete(key source.Key) (bool, error) {
	found, err := ps.all().Remove(idOf(key))
	if err != nil {
		err = fmt.Errorf("player: proxies: %w", err)
	}
	return found, err
}

// Wait waits until the stream of a proxy that was added comes, which returns nil,
// or the first attempt fails, which returns why; another one may follow. A proxy on
// demand is not waited for. The error wraps source.ErrNotFound if there is none.
func (ps *Proxies) Wait(ctx context.Context, key source.Key) error {
	w, ok := ps.all().Get(idOf(key))
	if !ok {
		return fmt.Errorf("player: proxy of %s: %w", key, source.ErrNotFound)
	}
	return w.progress.Wait(ctx)
}

// Stats returns the state and the counters of a proxy; false if there is none.
func (ps *Proxies) Stats(key source.Key) (ProxyStats, bool) {
	w, ok := ps.all().Get(idOf(key))
	if !ok {
		return ProxyStats{}, false
	}
	return w.stats(), true
}

// List returns the state and the counters of all proxies, sorted by key.
func (ps *Proxies) List() []ProxyStats {
	var list []ProxyStats
	for _, w := range ps.all().All() {
		list = append(list, w.stats())
	}
	return list
}

// OnMiss is for the Hub's field of that name: it starts the pulling of a proxy on
// demand. The viewers of other proxies wait for them.
func (ps *Proxies) OnMiss(ctx context.Context, req *source.Request) (source.Source, error) {
	w, ok := ps.all().Get(idOf(req.Key))
	switch {
	case ok && w.OnDemand:
		req.Options = w.options()
		return w, nil
	case !ok && ps.Next != nil:
		return ps.Next(ctx, req)
	}
	return nil, nil
}

// Close ends all proxies and their streams and waits for it. They are kept in File.
func (ps *Proxies) Close() error {
	ps.all().Close()
	return nil
}
