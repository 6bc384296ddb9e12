package source

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var errEnd = errors.New("end")

// TestRingKeeps looks at what a ring holds after a number of appends.
func TestRingKeeps(t *testing.T) {
	type item struct {
		size int
		key  bool
		at   time.Duration
	}
	var many []item
	for i := range 100 {
		many = append(many, item{size: 1, key: i == 0})
	}
	const half = ringBytes/2 - slotOverhead
	for _, c := range []struct {
		name   string
		window time.Duration
		items  []item
		tail   uint64
		start  uint64
		key    bool
	}{
		{"nothing", 0, nil, 0, 0, false},
		{"without a key only the newest", 0, []item{{1, false, 0}, {1, false, 0}, {1, false, 0}}, 2, 3, false},
		{"without a key for the window", time.Second, []item{{1, false, 0}, {1, false, 0}, {1, false, time.Second}}, 2, 3, false},
		{"within the window", time.Second + 1, []item{{1, false, 0}, {1, false, 0}, {1, false, time.Second}}, 0, 3, false},
		{"since the key", 0, []item{{1, false, 0}, {1, true, 0}, {1, false, time.Hour}}, 1, 1, true},
		{"since the newest key", 0, []item{{1, true, 0}, {1, true, 0}, {1, false, 0}}, 1, 1, true},
		{"before the key for the window", time.Second, []item{{1, true, 0}, {1, false, ms}, {1, true, time.Second}, {1, false, time.Second}}, 1, 2, true},
		{"grows", 0, many, 0, 0, true},
		{"exactly full", 0, []item{{half, true, 0}, {half, false, 0}}, 0, 0, true},
		{"too full: the key goes", 0, []item{{half, true, 0}, {half, false, 0}, {0, false, 0}}, 2, 3, false},
		{"too full: what is before the key goes", time.Hour, []item{{half, false, 0}, {half, true, 0}, {0, false, 0}}, 1, 1, true},
		{"too big, alone", 0, []item{{1, true, 0}, {2 * ringBytes, true, 0}}, 1, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Now()
			r := ring[int]{window: c.window}
			for i, it := range c.items {
				require.True(t, r.append(i, it.size, it.key, now.Add(it.at)))
			}
			require.Equal(t, c.tail, r.tail)
			pos, key := r.start()
			require.Equal(t, c.start, pos)
			require.Equal(t, c.key, key)
			for p := r.tail; p < r.head.Load(); p++ {
				require.Equal(t, int(p), r.at(p).item)
			}
			n, bytes := r.usage()
			require.Equal(t, len(c.items)-int(c.tail), n)
			want := 0
			for _, it := range c.items[c.tail:] {
				want += it.size
			}
			require.Equal(t, want, bytes)
		})
	}
}

func TestRingWindow(t *testing.T) {
	now := time.Now()
	r := ring[int]{window: time.Hour}
	for i := range 10 {
		r.append(i, 1, i == 7, now)
	}
	require.Equal(t, uint64(0), r.tail)
	r.setWindow(0, now)
	require.Equal(t, uint64(7), r.tail)
}

func TestRingWait(t *testing.T) {
	var r ring[int]
	woken := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
	for n := range 3 * manyWaiters { // few and many wait
		pos := r.head.Load()
		var waiting []<-chan struct{}
		for range n + 1 {
			waiting = append(waiting, r.wait(pos))
		}
		require.False(t, woken(waiting[0]))
		r.append(n, 1, false, time.Now())
		for _, ch := range waiting {
			until(t, "the wake-up", func() bool { return woken(ch) })
		}
		require.Nil(t, r.wait(pos), "something is there")
	}
	ch := r.wait(r.head.Load())
	r.close(errEnd)
	require.True(t, woken(ch))
	r.close(errors.New("another"))
	require.Equal(t, errEnd, r.err)
	require.Nil(t, r.wait(r.head.Load()), "closed")
	require.False(t, r.append(1, 1, false, time.Now()))
}

func TestRingBlockers(t *testing.T) {
	var r ring[int]
	now := time.Now()
	require.Nil(t, r.full())
	fast, freeFast := r.block(0, 2)
	slow, freeSlow := r.block(0, 3)
	r.append(0, 1, true, now)
	require.Nil(t, r.full())
	r.append(1, 1, true, now)
	room := r.full()
	require.NotNil(t, room, "two ahead of the first")
	r.advance(fast, 2)
	<-room
	require.Nil(t, r.full())
	r.append(2, 1, true, now)
	require.NotNil(t, r.full(), "three ahead of the second")
	require.Equal(t, uint64(0), r.tail, "nothing goes that a blocker has not had")
	r.advance(slow, 3)
	require.Nil(t, r.full())
	r.append(3, ringBytes, true, now)
	require.Equal(t, uint64(2), r.tail)
	room = r.full()
	require.NotNil(t, room, "full of what they have not had")
	freeFast()
	<-room
	room = r.full()
	require.NotNil(t, room)
	r.close(errEnd)
	<-room
	require.Nil(t, r.full(), "closed")
	freeSlow()
	require.Empty(t, r.blockers)

	once := ring[int]{once: true}
	b, _ := once.block(0, 10)
	for i := range 5 {
		once.append(i, 1, i == 0, now)
	}
	once.advance(b, 3)
	require.Equal(t, uint64(3), once.tail)
	once.advance(b, 5)
	require.Equal(t, uint64(4), once.tail, "the newest stays")
}

// TestCatchUp puts a consumer somewhere in a ring with one item a second, keys
// at 3 and 6 of 8, and looks where it goes.
func TestCatchUp(t *testing.T) {
	for _, c := range []struct {
		name    string
		policy  SlowPolicy
		pos     uint64
		join    uint64
		tail    uint64
		maxLag  time.Duration
		ended   bool
		noKey   bool
		to      uint64
		err     error
		needKey bool
		prompt  bool // its last write did not wait
	}{
		{name: "near enough", pos: 6, maxLag: 2 * time.Second, to: 6},
		{name: "too far", pos: 5, maxLag: time.Second, to: 6},
		{name: "much too far", pos: 1, maxLag: time.Second, to: 6},
		{name: "much too far, but not its doing", pos: 1, maxLag: time.Second, to: 1, prompt: true},
		{name: "overtaken, though not its doing", pos: 1, tail: 5, maxLag: time.Hour, to: 6, prompt: true},
		{name: "too far, no newer key", pos: 6, maxLag: 500 * ms, to: 6},
		{name: "too far in the end", pos: 6, maxLag: 500 * ms, ended: true, to: 6, err: ErrLagged},
		{name: "near enough in the end", pos: 6, maxLag: 2 * time.Second, ended: true, to: 6},
		{name: "replay is no lag", pos: 1, join: 8, maxLag: time.Second, to: 1},
		{name: "replay has an end", pos: 5, join: 5, maxLag: time.Second, to: 6},
		{name: "cut", policy: SlowCut, pos: 5, maxLag: time.Second, to: 5, err: ErrLagged},
		{name: "block", policy: SlowBlock, pos: 0, maxLag: time.Second, to: 0},
		{name: "overtaken", pos: 1, tail: 5, maxLag: time.Hour, to: 6},
		{name: "overtaken in the replay", pos: 1, join: 8, tail: 5, maxLag: time.Hour, to: 6},
		{name: "overtaken, cut", policy: SlowCut, pos: 1, tail: 5, maxLag: time.Hour, to: 1, err: ErrLagged},
		{name: "overtaken, no key held", pos: 1, tail: 5, noKey: true, maxLag: time.Hour, to: 8, needKey: true},
		{name: "overtaken, no key held, ended", pos: 1, tail: 5, noKey: true, ended: true, maxLag: time.Hour, to: 1, err: ErrLagged},
		{name: "has had everything", pos: 8, maxLag: time.Second, to: 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ring[int]{window: time.Hour}
			now := time.Now()
			for i := range 8 {
				r.append(i, 1, i == 3 || i == 6, now.Add(time.Duration(i)*time.Second))
			}
			r.tail = c.tail
			if c.noKey {
				r.hasKey = false
			}
			if c.ended {
				r.close(errEnd)
			}
			p := place{}
			p.enter(c.pos, true, c.join, ViewerOptions{Slow: c.policy, MaxLag: c.maxLag})
			p.waited = !c.prompt
			require.Equal(t, c.err, catchUp(&r, &p, now.Add(7*time.Second)))
			require.Equal(t, c.to, p.pos)
			require.Equal(t, c.needKey, p.needKey)
			require.Equal(t, c.to != c.pos, p.jumped)
			require.Equal(t, c.to-c.pos, p.skipped.Load())
		})
	}
	// Up to the default and beyond it.
	r, p, now := ring[int]{window: time.Hour}, place{}, time.Now()
	r.append(0, 1, true, now)
	p.enter(0, true, 0, ViewerOptions{})
	r.append(1, 1, true, now)
	require.NoError(t, catchUp(&r, &p, now.Add(DefaultMaxLag)))
	require.Equal(t, uint64(0), p.skipped.Load())
	require.NoError(t, catchUp(&r, &p, now.Add(DefaultMaxLag+1)))
	require.Equal(t, uint64(1), p.pos)

	// A ring that never had a key item can be read from anywhere.
	plain, q := ring[int]{}, place{}
	for i := range 3 {
		plain.append(i, 1, false, now)
	}
	q.enter(0, true, 0, ViewerOptions{})
	require.NoError(t, catchUp(&plain, &q, now))
	require.Equal(t, uint64(3), q.pos)
	require.False(t, q.needKey)
}

func TestBehind(t *testing.T) {
	p, now := place{}, time.Now()
	p.enter(0, true, 0, ViewerOptions{})
	require.Zero(t, p.behind(now))
	p.isAt(now.Add(-time.Hour)) // a replay
	require.InDelta(t, float64(time.Hour), float64(p.behind(now)), 10)
	p.isAt(p.entered)
	require.InDelta(t, float64(time.Minute), float64(p.behind(p.entered.Add(time.Minute))), 10)
	require.Zero(t, p.behind(p.entered.Add(-time.Minute)))
	p.hasAll()
	require.Zero(t, p.behind(now.Add(time.Hour)))
}

// TestRingModel does at random what producers and consumers do, and compares a
// ring with a list of all that was ever appended.
func TestRingModel(t *testing.T) {
	type item struct {
		size int
		key  bool
		at   time.Time
	}
	type consumer struct {
		*place
		block   *blocker
		unblock func()
		last    int  // the newest item it had, or -1
		gap     bool // it may miss items before the next one
	}
	rapid.Check(t, func(t *rapid.T) {
		window := time.Duration(rapid.IntRange(0, 5).Draw(t, "window")) * time.Second
		r := ring[int]{window: window}
		now := time.Now()
		var all []item
		var consumers []*consumer
		closed, newestKey := false, -1
		check := func() {
			if int(r.head.Load()) != len(all) {
				t.Fatalf("head %d of %d", r.head.Load(), len(all))
			}
			blocked := len(all)
			for _, c := range consumers {
				if c.block != nil {
					blocked = min(blocked, int(c.block.pos))
				}
			}
			bytes := 0
			for p := int(r.tail); p < len(all); p++ {
				if r.at(uint64(p)).item != p || r.at(uint64(p)).size != all[p].size+slotOverhead {
					t.Fatalf("at %d: %+v", p, *r.at(uint64(p)))
				}
				bytes += all[p].size + slotOverhead
			}
			if bytes != r.bytes {
				t.Fatalf("%d bytes, says %d", bytes, r.bytes)
			}
			if bytes > ringBytes && int(r.tail)+1 < len(all) && int(r.tail) < blocked {
				t.Fatalf("%d bytes held", bytes)
			}
			if key, ok := r.start(); ok && int(key) != newestKey {
				t.Fatalf("starts at %d, newest key is %d", key, newestKey)
			}
			if int(r.tail) > blocked {
				t.Fatalf("went to %d over a blocker at %d", r.tail, blocked)
			}
			if r.tail > 0 { // what went was not needed
				gone := all[r.tail-1]
				needless := int(r.tail)-1 != newestKey // before the key, or the key had gone
				full := bytes+gone.size+slotOverhead > ringBytes
				if !full && (!needless || now.Sub(gone.at) < window) {
					t.Fatalf("%d went without need", r.tail-1)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"append": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "later")) * ms)
				it := item{rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(1<<20, 3<<20)).Draw(t, "size"), rapid.IntRange(0, 4).Draw(t, "key") == 0, now}
				if r.full() != nil {
					t.Skip("full")
				}
				if r.append(len(all), it.size, it.key, now) == closed {
					t.Fatal("append")
				}
				if !closed {
					if it.key {
						newestKey = len(all)
					}
					all = append(all, it)
				}
			},
			"close": func(t *rapid.T) {
				if rapid.IntRange(0, 20).Draw(t, "close") == 0 {
					r.close(errEnd)
					closed = true
				}
			},
			"join": func(t *rapid.T) {
				c := &consumer{place: &place{}, last: -1, gap: true}
				v := ViewerOptions{Slow: SlowPolicy(rapid.IntRange(0, 2).Draw(t, "policy")), MaxLag: time.Duration(rapid.IntRange(1, 9).Draw(t, "lag")) * time.Second}
				pos, key := r.start()
				c.enter(pos, key, r.head.Load(), v)
				if v.Slow == SlowBlock {
					c.block, c.unblock = r.block(pos, 5)
				}
				consumers = append(consumers, c)
			},
			"read": func(t *rapid.T) {
				if len(consumers) == 0 {
					t.Skip("nobody")
				}
				i := rapid.IntRange(0, len(consumers)-1).Draw(t, "who")
				c := consumers[i]
				before := c.pos
				if err := catchUp(&r, c.place, now); err != nil {
					if c.policy == SlowBlock || c.policy == SlowJump && !closed {
						t.Fatal(err)
					}
					consumers = append(consumers[:i], consumers[i+1:]...)
					return
				}
				if c.pos != before {
					if c.policy != SlowJump || c.pos < before {
						t.Fatalf("policy %d moved from %d to %d", c.policy, before, c.pos)
					}
					c.gap = true
				}
				for c.pos < r.head.Load() {
					s := r.at(c.pos)
					c.pos++
					if c.needKey && !s.key {
						continue
					}
					if c.gap && newestKey >= 0 && c.last >= 0 && !s.key {
						t.Fatalf("%d follows %d", s.item, c.last)
					}
					if !c.gap && s.item != c.last+1 {
						t.Fatalf("%d follows %d", s.item, c.last)
					}
					c.needKey, c.gap, c.last = false, false, s.item
					break
				}
				if c.block != nil {
					r.advance(c.block, c.pos)
				}
			},
			"leave": func(t *rapid.T) {
				if len(consumers) == 0 {
					t.Skip("nobody")
				}
				if c := consumers[0]; c.unblock != nil {
					c.unblock()
				}
				consumers = consumers[1:]
			},
		})
	})
}

func TestEventKindString(t *testing.T) {
	require.Equal(t, "play end", EventPlayEnd.String())
	require.Equal(t, "unknown", EventKind(200).String())
	require.Equal(t, "[pending live lingering closed closed]", fmt.Sprint([]State{StatePending, StateLive, StateLingering, StateClosed, 9}))
}
