package ps

import (
	"errors"

	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// ErrPort is wrapped by errors that say that a port of ours is not to be had. They
// wrap source.ErrBusy, too, if somebody has the one that was asked for, and
// source.ErrLimit if all of the range are in use.
var ErrPort = errors.New("ps: port is not to be had")

// A wording is an error that callers know by others, whose words do not fit.
type wording struct {
	text string
	is   []error
}

func (w *wording) Error() string   { return w.text }
func (w *wording) Unwrap() []error { return w.is }

// portError returns the error of ports as callers know it.
func portError(err error) error {
	switch {
	case errors.Is(err, udp.ErrInUse), udp.InUse(err):
		return &wording{err.Error(), []error{ErrPort, source.ErrBusy, err}}
	case errors.Is(err, udp.ErrNoPorts):
		return &wording{err.Error(), []error{ErrPort, source.ErrLimit, err}}
	}
	return err
}
