package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
)

// An opening is a port for a stream, and who is connected to.
type opening struct {
	ps.ReceiverOptions
	connect string // of TCPActive
}

// parseOpening reads APP/STREAM@PORT[/tcp|/active=HOST:PORT][,ssrc=N].
func parseOpening(s string) (o opening, err error) {
	list := strings.Split(s, ",")
	name, at, ok := strings.Cut(list[0], "@")
	if !ok {
		return o, fmt.Errorf("no @PORT in %q", s)
	}
	if o.Key, err = source.ParseKey(source.DefaultVhost, "/"+name); err != nil {
		return o, err
	}
	port, mode, _ := strings.Cut(at, "/")
	if o.Port, err = parsePort(port); err != nil {
		return o, err
	}
	switch way, addr, _ := strings.Cut(mode, "="); way {
	case "":
	case "tcp":
		o.Mode = ps.TCPPassive
	case "active":
		o.Mode, o.connect = ps.TCPActive, addr
	default:
		return o, fmt.Errorf("unknown %q in %q", way, s)
	}
	for _, word := range list[1:] {
		value, ok := strings.CutPrefix(word, "ssrc=")
		if !ok {
			return o, fmt.Errorf("unknown %q in %q", word, s)
		}
		if o.SSRC, err = parseSSRC(value); err != nil {
			return o, err
		}
	}
	return o, nil
}

// parseSending reads APP/STREAM=HOST:PORT[,ssrc=N][,tcp][,passive][,ts|,es][,audio].
// Who is passive waits at this port.
func parseSending(s string) (o ps.SendOptions, err error) {
	list := strings.Split(s, ",")
	name, to, ok := strings.Cut(list[0], "=")
	if !ok {
		return o, fmt.Errorf("no =HOST:PORT in %q", s)
	}
	if o.Key, err = source.ParseKey(source.DefaultVhost, "/"+name); err != nil {
		return o, err
	}
	o.To = to
	tcp, passive := false, false
	for _, word := range list[1:] {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "ssrc":
			if o.SSRC, err = parseSSRC(value); err != nil {
				return o, err
			}
		case "tcp":
			tcp = true
		case "passive":
			passive = true
		case "ts":
			o.Payload = ps.PayloadTS
		case "es":
			o.Payload = ps.PayloadES
		case "audio":
			o.OnlyAudio = true
		default:
			return o, fmt.Errorf("unknown %q in %q", word, s)
		}
	}
	switch {
	case tcp && passive:
		o.Mode = ps.SendTCPPassive
	case tcp:
		o.Mode = ps.SendTCP
	case passive:
		o.Mode = ps.SendUDPPassive
	}
	if passive {
		o.To = ""
		o.Port, err = parsePort(to[strings.LastIndexByte(to, ':')+1:])
	}
	return o, err
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}

// parseSSRC reads ten decimal digits, as GB28181 writes it, or a hexadecimal
// number behind 0x, as the names of streams have it.
func parseSSRC(s string) (uint32, error) {
	hex, ok := strings.CutPrefix(s, "0x")
	base := 10
	if ok {
		base = 16
	}
	n, err := strconv.ParseUint(hex, base, 32)
	return uint32(n), err
}

// parsePorts reads FIRST-LAST.
func parsePorts(s string) (ports [2]uint16, err error) {
	first, last, _ := strings.Cut(s, "-")
	if ports[0], err = parsePort(first); err != nil {
		return ports, err
	}
	ports[1], err = parsePort(last)
	return ports, err
}
