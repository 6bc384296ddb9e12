package wire

import (
	"fmt"

	"github.com/mediakit-go/mediakit/internal/amf"
)

// Command is a remote call, or the answer to one (RTMP 1.0, sections 7.1.1 and
// 7.2).
type Command struct {
	Name   string
	ID     float64 // transaction; 0 expects no answer
	Object any     // the command object, usually an amf.Object or nil
	Args   []any
}

// Type returns TypeCommand: what we send is AMF0.
func (Command) Type() Type { return TypeCommand }

// Append appends the body of m in AMF0 to b.
func (m Command) Append(b []byte) []byte {
	b = amf.Append(b, m.Name)
	b = amf.Append(b, m.ID)
	b = amf.Append(b, m.Object)
	for _, a := range m.Args {
		b = amf.Append(b, a)
	}
	return b
}

// Unmarshal decodes the body b of a message of type t, TypeCommand or
// TypeCommandAMF3. Missing values after the name are taken as zero.
func (m *Command) Unmarshal(t Type, b []byte) error {
	values, err := values(b, t == TypeCommandAMF3)
	if err != nil {
		return fmt.Errorf("%w: command: %w", ErrInvalid, err)
	}
	*m = Command{}
	var ok bool
	if len(values) > 0 {
		m.Name, ok = amf.String(values[0])
	}
	if !ok {
		return fmt.Errorf("%w: command without a name", ErrInvalid)
	}
	if len(values) > 1 {
		m.ID, _ = amf.Number(values[1])
	}
	if len(values) > 2 {
		m.Object = values[2]
	}
	if len(values) > 3 {
		m.Args = values[3:]
	}
	return nil
}

// Arg returns the i-th argument, or nil.
func (m *Command) Arg(i int) any {
	if i < len(m.Args) {
		return m.Args[i]
	}
	return nil
}

// StringArg returns the i-th argument if it is a string, or "".
func (m *Command) StringArg(i int) string {
	s, _ := amf.String(m.Arg(i))
	return s
}

// NumberArg returns the i-th argument if it is a number, or 0.
func (m *Command) NumberArg(i int) float64 {
	f, _ := amf.Number(m.Arg(i))
	return f
}

// formatAMF0 is the first byte of the AMF3 kinds of messages.
const formatAMF0 = 0

// values decodes the body of a command. The AMF3 kind begins with a format byte:
// 0 for AMF0 values, which may switch to AMF3 one by one and is what everybody
// sends. Some leave the byte out, and some put AMF3 values behind no byte at all.
func values(b []byte, amf3 bool) ([]any, error) {
	const markString = 2
	if amf3 && len(b) > 0 {
		switch b[0] {
		case formatAMF0:
			b = b[1:]
		case markString:
		default:
			return amf.Unmarshal3(b)
		}
	}
	return amf.Unmarshal(b)
}
