package vdk

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/deepch/vdk/av"
)

// A PanicError says that a demuxer, a muxer or the description of a stream
// panicked. It is not called again.
type PanicError struct {
	Value any    // what it panicked with
	Stack []byte // where, for people
}

func (e *PanicError) Error() string { return fmt.Sprintf("vdk: panic: %v", e.Value) }

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// catch turns a panic of the function that defers it into a *PanicError.
func catch(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{v, debug.Stack()}
	}
}

// failed returns err and what was being done, unless it was a panic.
func failed(doing string, err error) error {
	var p *PanicError
	if errors.As(err, &p) {
		return err
	}
	return fmt.Errorf("vdk: %s: %w", doing, err)
}

// The calls to a demuxer and a muxer, any of which may panic.

func streams(d av.Demuxer) (s []av.CodecData, err error) {
	defer catch(&err)
	return d.Streams()
}

func readPacket(d av.Demuxer) (p av.Packet, err error) {
	defer catch(&err)
	return d.ReadPacket()
}

func writeHeader(m av.Muxer, s []av.CodecData) (err error) {
	defer catch(&err)
	return m.WriteHeader(s)
}

func writePacket(m av.Muxer, p av.Packet) (err error) {
	defer catch(&err)
	return m.WritePacket(p)
}

func writeTrailer(m av.Muxer) (err error) {
	defer catch(&err)
	return m.WriteTrailer()
}

// closeIt closes v if it can be closed. Some of vdk's types return no error.
func closeIt(v any) (err error) {
	defer catch(&err)
	switch c := v.(type) {
	case io.Closer:
		return c.Close()
	case interface{ Close() }:
		c.Close()
	}
	return nil
}
