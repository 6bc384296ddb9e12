package ts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
)

// A rawPacket is a transport packet taken apart by the test, by the standard and
// not by the code under test.
type rawPacket struct {
	pid                    int
	start, discont, random bool
	counter                int
	pcr                    int64 // of 27 MHz; -1 without
	payload                []byte
}

// takeApart returns the packets of b.
func takeApart(t testing.TB, b []byte) (packets []rawPacket) {
	t.Helper()
	require.Zero(t, len(b)%188)
	for i := 0; len(b) > 0; i, b = i+1, b[188:] {
		require.Equal(t, byte(0x47), b[0], "packet %d", i)
		require.Zero(t, b[1]&0x80, "transport_error_indicator")
		require.Zero(t, b[3]>>6, "scrambled")
		p := rawPacket{
			pid: int(b[1]&0x1f)<<8 | int(b[2]), start: b[1]&0x40 != 0, counter: int(b[3] & 15), pcr: -1,
		}
		at := 4
		field, payload := b[3]&0x20 != 0, b[3]&0x10 != 0
		require.True(t, field || payload)
		if field {
			n := int(b[4])
			if payload {
				require.LessOrEqual(t, n, 182, "packet %d: 1 byte of payload at least", i)
			} else {
				require.Equal(t, 183, n)
			}
			at += 1 + n
			if n > 0 {
				flags, used := b[5], 1
				require.Zero(t, flags&^(0x80|0x40|0x10), "unexpected flags")
				p.discont, p.random = flags&0x80 != 0, flags&0x40 != 0
				if flags&0x10 != 0 {
					used += 6
					require.GreaterOrEqual(t, n, used)
					base := int64(binary.BigEndian.Uint32(b[6:]))<<1 | int64(b[10]>>7)
					require.Equal(t, byte(0x7e), b[10]&0x7e, "reserved bits")
					p.pcr = base*300 + int64(b[10]&1)<<8 + int64(b[11])
				}
				for _, v := range b[5+used : at] {
					require.Equal(t, byte(0xff), v, "stuffing")
				}
			}
		}
		if payload {
			p.payload = b[at:188]
		}
		packets = append(packets, p)
	}
	return packets
}

// A rawUnit is a PES packet taken apart.
type rawUnit struct {
	pid, id       int
	pts, dts      int64
	random        bool
	data          []byte
	first, tables int // index of its first packet, and of the PAT before it
	pcr           int64
}

// inspection is what is known of a stream that was inspected.
type inspection struct {
	packets []rawPacket
	units   []rawUnit
	pmts    [][]byte // each that differs from the one before
	pcrPID  int
}

// inspect checks what must hold for every stream that is written: counters, tables
// before the first frame, before key frames and every 500 ms, the clock at least
// every most, PES packets whole with right lengths, times ahead of the clock.
func inspect(t testing.TB, b []byte, most time.Duration) *inspection {
	t.Helper()
	in := &inspection{packets: takeApart(t, b)}
	counters := map[int]int{}
	open := map[int]*rawUnit{}
	finish := func(pid int) {
		u := open[pid]
		if u == nil {
			return
		}
		parseUnit(t, u)
		in.units = append(in.units, *u)
		delete(open, pid)
	}
	lastPAT, clock := -1, int64(-1)
	for i, p := range in.packets {
		name := fmt.Sprintf("packet %d of PID %d", i, p.pid)
		if last, ok := counters[p.pid]; ok {
			want := last
			if p.payload != nil {
				want = (last + 1) & 15
			}
			require.Equal(t, want, p.counter, name)
		}
		counters[p.pid] = p.counter
		if p.pcr >= 0 {
			require.Equal(t, in.pcrPID, p.pid, "PCR in another PID")
			if clock >= 0 && !p.discont {
				require.Greater(t, p.pcr, clock, name)
				require.LessOrEqual(t, time.Duration(p.pcr-clock)*1000/27, most, "%s: PCR", name)
			}
			clock = p.pcr
		}
		switch {
		case p.pid == 0:
			lastPAT = i
			section := sectionOf(t, p)
			require.Equal(t, []byte{0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0}, section[:12])
		case p.pid == 0x1000:
			require.Equal(t, 0, in.packets[i-1].pid, "PMT behind PAT")
			section := sectionOf(t, p)
			in.pcrPID = int(section[8]&0x1f)<<8 | int(section[9])
			if n := len(in.pmts); n == 0 || !bytes.Equal(in.pmts[n-1], section) {
				in.pmts = append(in.pmts, bytes.Clone(section))
			}
		case p.start:
			require.NotEqual(t, -1, lastPAT, "a frame before the tables")
			finish(p.pid)
			open[p.pid] = &rawUnit{pid: p.pid, data: bytes.Clone(p.payload), random: p.random, first: i, tables: lastPAT, pcr: clock}
		case p.payload != nil:
			require.NotNil(t, open[p.pid], name)
			open[p.pid].data = append(open[p.pid].data, p.payload...)
		}
	}
	for pid := range open {
		finish(pid)
	}
	return in
}

// sectionOf returns the section that p holds all of.
func sectionOf(t testing.TB, p rawPacket) []byte {
	t.Helper()
	require.True(t, p.start)
	b := p.payload[1+int(p.payload[0]):]
	n := 3 + int(b[1]&15)<<8 + int(b[2])
	for _, v := range b[n:] {
		require.Equal(t, byte(0xff), v, "stuffing behind a section")
	}
	// The remainder of a whole section is 0.
	crc := uint32(0xffffffff)
	for _, v := range b[:n] {
		for bit := 7; bit >= 0; bit-- {
			top := crc>>31 != uint32(v>>bit&1)
			crc <<= 1
			if top {
				crc ^= 0x04c11db7
			}
		}
	}
	require.Zero(t, crc, "checksum")
	return b[:n]
}

// parseUnit reads the header of a PES packet and leaves its payload.
func parseUnit(t testing.TB, u *rawUnit) {
	t.Helper()
	b := u.data
	require.Equal(t, []byte{0, 0, 1}, b[:3])
	u.id = int(b[3])
	if n := int(b[4])<<8 | int(b[5]); n > 0 {
		require.Equal(t, len(b)-6, n, "PES_packet_length")
	} else {
		require.Greater(t, len(b)-6, 65535, "length left open")
	}
	require.Equal(t, byte(0x84), b[6])
	u.pts, u.dts = containertest.PESTimes(t, b)
	u.data = b[9+int(b[8]):]
	if u.pcr >= 0 {
		early := (u.dts - u.pcr/300) & (1<<33 - 1)
		require.True(t, early > 0 && early < 1<<32, "a frame that comes too late")
	}
}

// requireTables checks that tables stand right before key frames of video, and
// every 500 ms.
func (in *inspection) requireTables(t testing.TB) {
	t.Helper()
	var last int64
	for i, u := range in.units {
		if u.random {
			p := in.packets[u.first-1]
			require.True(t, p.pid == 0x1000 || p.payload == nil, "tables before a key frame")
		}
		if i == 0 || in.units[i-1].tables != u.tables {
			if i > 0 {
				require.LessOrEqual(t, codec.FromTicks(u.dts-last, 90000), 500*time.Millisecond, "tables")
			}
			last = u.dts
		}
	}
}
