package source

import "context"

// Await returns the stream called key as soon as it can be subscribed to, for
// recorders and others who want a stream whenever there is one but do not ask for
// it: OnMiss is not called, and MaxWait is for viewers. It fails with an error
// that wraps ErrBadKey or ErrClosed, or when ctx ends.
func (h *Hub) Await(ctx context.Context, key Key) (*Stream, error) {
	if err := key.Validate(); err != nil {
		return nil, err
	}
	for {
		s, missing, done, err := h.lookup(key)
		if err != nil {
			return nil, err
		}
		if s != nil {
			if s.watchable() {
				return s, nil
			}
			missing = s.ready
		}
		err = await(ctx, key, missing, nil, nil)
		done()
		if err != nil {
			return nil, err
		}
	}
}

// watchable reports whether a viewer would be accepted.
func (s *Stream) watchable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == StateLive || s.state == StateLingering
}
