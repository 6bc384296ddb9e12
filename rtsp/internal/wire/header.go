package wire

import (
	"net/http"
	"strings"
)

// A Field is one header of a message.
type Field struct{ Name, Value string }

// A Header is the headers of a message in their order (section 4.2). Names are
// compared without regard to case; a name may occur several times.
type Header []Field

// Get returns the first value of name, "" if there is none.
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Has reports whether there is a header of that name.
func (h Header) Has(name string) bool {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Values returns all values of name.
func (h Header) Values(name string) []string {
	var all []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			all = append(all, f.Value)
		}
	}
	return all
}

// Add appends a header.
func (h *Header) Add(name, value string) { *h = append(*h, Field{name, value}) }

// Set gives the first header of that name a value and removes the others, or
// appends one.
func (h *Header) Set(name, value string) {
	for i, f := range *h {
		if strings.EqualFold(f.Name, name) {
			(*h)[i].Value = value
			rest := (*h)[i+1:]
			rest.Del(name)
			*h = (*h)[:i+1+len(rest)]
			return
		}
	}
	h.Add(name, value)
}

// Del removes all headers of that name.
func (h *Header) Del(name string) {
	kept := (*h)[:0]
	for _, f := range *h {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	clear((*h)[len(kept):])
	*h = kept
}

// HTTP returns a copy in the form of the standard library.
func (h Header) HTTP() http.Header {
	m := make(http.Header, len(h))
	for _, f := range h {
		m.Add(f.Name, f.Value)
	}
	return m
}

// Append appends the lines of all headers but Content-Length to b, without the
// empty line that ends them.
func (h Header) Append(b []byte) []byte {
	for _, f := range h {
		if !strings.EqualFold(f.Name, contentLength) {
			b = appendText(b, f.Name)
			b = append(b, ": "...)
			b = appendText(b, f.Value)
			b = append(b, "\r\n"...)
		}
	}
	return b
}

const contentLength = "Content-Length"

// appendText appends s with blanks for what would end a line or is not text.
func appendText(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if isControl(c) {
			c = ' '
		}
		b = append(b, c)
	}
	return b
}

// isControl reports whether c must not occur in a line. Bytes of UTF-8 may.
func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }
