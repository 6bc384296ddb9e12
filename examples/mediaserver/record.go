package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/mediakit-go/mediakit/record"
	"github.com/mediakit-go/mediakit/source"
)

// setRecord is the flag -record.
func (s *mediaserver) setRecord(names string) error {
	for name := range strings.SplitSeq(names, ",") {
		f, err := record.ParseFormat(name)
		if err != nil {
			return err
		}
		s.Record = append(s.Record, f)
	}
	return nil
}

// record begins to record whatever is published. finish ends that and completes
// the files.
func (s *mediaserver) record(hub *source.Hub, log *slog.Logger) (finish func(), err error) {
	if len(s.Record) == 0 {
		return func() {}, nil
	}
	if s.Root == "" {
		return nil, errors.New("-record needs -root")
	}
	recorders := &record.Recorders{Hub: hub, Root: s.Root, Logger: log}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = recorders.Serve(ctx) })
	hub.OnEvent = func(e source.Event) {
		if e.Kind != source.EventLive {
			return
		}
		for _, f := range s.Record {
			running.Go(func() { // who is told of events must not ask the hub
				_, err := recorders.Start(e.Key, record.Options{Format: f, Slice: s.Slice})
				if err != nil && ctx.Err() == nil {
					log.Warn("not recorded", "stream", e.Key.String(), "format", f.String(), "error", err)
				}
			})
		}
	}
	return func() {
		cancel()
		running.Wait()
	}, nil
}
