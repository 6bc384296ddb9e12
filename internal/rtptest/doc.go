// Package rtptest puts program and transport streams into RTP the way other
// people's devices do, for tests and benchmarks: it is written from the standards
// and shares no code with the packages that are tested.
//
//	s := rtptest.Sender{SSRC: 0x10, PayloadType: 96}
//	packs, err := rtptest.CutPS(file)
//	for _, u := range packs {
//		for _, p := range s.Packets(u) { … } // to a datagram each
//	}
//
// A program stream goes out as GB/T 28181 has it (annex C): a pack is cut into
// payloads of up to 1400 bytes, all of which have its time, the last one the
// marker. Of a transport stream a packet has up to seven packets (RFC 2250,
// section 2). [RFC4571] and [Interleaved] are the forms that packets have on TCP
// connections. [Faults] are those of a bad network.
//
// Reading: cut.go, sender.go, framing.go, faults.go.
package rtptest
