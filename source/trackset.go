package source

// A trackSet is a choice of tracks by their IDs; the zero value is all of them.
type trackSet uint64

const trackSetSize = 64

func trackSetOf(ids []int) trackSet {
	var s trackSet
	for _, id := range ids {
		if id >= 0 && id < trackSetSize {
			s |= 1 << id
		}
	}
	return s
}

// has reports whether the track is in s. Those that cannot be told apart are.
func (s trackSet) has(id int) bool {
	return s == 0 || id < 0 || id >= trackSetSize || s>>id&1 != 0
}
