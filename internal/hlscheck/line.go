package hlscheck

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// wrong returns an error about a rule of the clause; "bis" is the draft.
func wrong(clause, format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{clause}, args...)...)
}

// checkText checks what a playlist is as a text (RFC 8216, 4.1).
func checkText(b []byte) error {
	if !utf8.Valid(b) {
		return wrong("4.1", "not UTF-8")
	}
	for _, r := range string(b) {
		if r == '\ufeff' || r < ' ' && r != '\n' && r != '\r' || r >= 0x7f && r <= 0x9f {
			return wrong("4.1", "character %U", r)
		}
	}
	return nil
}

// An attribute is the value of one.
type attribute struct {
	text   string
	quoted bool
}

// attributes parses an attribute list (RFC 8216, 4.2).
func attributes(s string) (map[string]attribute, error) {
	list := map[string]attribute{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return nil, wrong("4.2", "attribute name in %q", s)
		}
		var v attribute
		if strings.HasPrefix(rest, `"`) {
			v.quoted = true
			if v.text, rest, ok = strings.Cut(rest[1:], `"`); !ok {
				return nil, wrong("4.2", "quoted string in %q", s)
			}
		} else if i := strings.IndexByte(rest, ','); i >= 0 {
			v.text, rest = rest[:i], rest[i:]
		} else {
			v.text, rest = rest, ""
		}
		if !v.quoted && (v.text == "" || strings.ContainsAny(v.text, "\" \t")) {
			return nil, wrong("4.2", "value in %q", s)
		}
		if rest != "" && (rest[0] != ',' || len(rest) == 1) {
			return nil, wrong("4.2", "what follows a value: %q", rest)
		}
		if _, twice := list[name]; twice {
			return nil, wrong("4.2", "%s twice", name)
		}
		list[name], s = v, strings.TrimPrefix(rest, ",")
	}
	return list, nil
}

// integer parses a decimal-integer (RFC 8216, 4.2).
func integer(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || len(s) > 20 || s[0] == '+' {
		return 0, wrong("4.2", "integer %q", s)
	}
	return n, nil
}

// decimal parses a decimal-floating-point of seconds, exactly.
func decimal(s string) (time.Duration, error) {
	whole, fraction, point := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole, 10, 32)
	if err != nil || point && (fraction == "" || len(fraction) > 9 || strings.Trim(fraction, "0123456789") != "") {
		return 0, wrong("4.2", "number %q", s)
	}
	f, _ := strconv.ParseUint((fraction + "000000000")[:9], 10, 64)
	return time.Duration(n)*time.Second + time.Duration(f), nil
}

// A list reads the values of an attribute list; the first error sticks.
type list struct {
	tag   string
	items map[string]attribute
	err   error
}

// take returns a value and takes it from the list.
func (l *list) take(name string, quoted, needed bool) (string, bool) {
	v, ok := l.items[name]
	delete(l.items, name)
	switch {
	case l.err != nil:
	case !ok && needed:
		l.err = wrong(l.tag, "without %s", name)
	case ok && v.quoted != quoted:
		l.err = wrong(l.tag, "%s is quoted: %v", name, v.quoted)
	}
	return v.text, ok && l.err == nil
}

func (l *list) seconds(name string, needed bool) (d time.Duration) {
	if v, ok := l.take(name, false, needed); ok {
		d, l.err = decimal(v)
	}
	return d
}

func (l *list) yes(name string) bool {
	v, ok := l.take(name, false, false)
	if ok && v != "YES" && v != "NO" {
		l.err = wrong(l.tag, "%s=%s", name, v)
	}
	return v == "YES"
}

func (l *list) number(name string, needed bool) (n uint64) {
	if v, ok := l.take(name, false, needed); ok {
		n, l.err = integer(v)
	}
	return n
}

// end returns what is wrong: an attribute that is not known is, for it is a
// slip of the pen here.
func (l *list) end() error {
	for name := range l.items {
		if l.err == nil {
			l.err = wrong(l.tag, "attribute %s", name)
		}
	}
	return l.err
}
