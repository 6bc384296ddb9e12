package source

import "sync"

// An EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	EventPublish    EventKind = iota + 1 // a publisher was accepted
	EventLive                            // a stream can be watched
	EventLost                            // a publisher was lost; the stream lingers for its return
	EventResumed                         // the publisher has returned
	EventClosed                          // a stream has ended
	EventPublishEnd                      // a publisher's session has ended
	EventPlay                            // a viewer was accepted
	EventPlayEnd                         // a viewer's session has ended
	EventIdle                            // the last viewer has left
)

var eventNames = [...]string{EventPublish: "publish", EventLive: "live", EventLost: "lost", EventResumed: "resumed",
	EventClosed: "closed", EventPublishEnd: "publish end", EventPlay: "play", EventPlayEnd: "play end", EventIdle: "idle"}

// String returns the kind's name, such as "publish".
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown"
}

// An Event is something that happened to a stream.
type Event struct {
	Kind    EventKind
	Key     Key
	Session SessionStats // of publish and play events: whose session
}

// An eventQueue keeps events in the order they were posted, which is done under
// locks, until they are delivered, which is done without.
type eventQueue struct {
	mu     sync.Mutex // guards what follows
	queue  []Event
	active bool // somebody delivers
}

func (q *eventQueue) post(e Event) {
	q.mu.Lock()
	q.queue = append(q.queue, e)
	q.mu.Unlock()
}

// drain delivers what was posted, unless another goroutine is at it.
func (q *eventQueue) drain(fn func(Event)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.active {
		return
	}
	q.active = true
	for len(q.queue) > 0 {
		batch := q.queue
		q.queue = nil
		if fn != nil {
			q.mu.Unlock()
			for _, e := range batch {
				fn(e)
			}
			q.mu.Lock()
		}
	}
	q.active = false
}
