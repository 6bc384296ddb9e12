package wire

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A message is one that has begun and not ended.
type message struct {
	text  []byte  // what came of its lines, without the first one and line ends but "\n"
	line  int     // where the last line begins in text
	lines int     // of headers
	size  int     // of first line and headers so far
	item  Item    // *Request or *Response once the first line was read
	h     *Header // of item
	body  *[]byte // of item
	http  bool    // of HTTP, whose body is not read
	inner bool    // the headers have ended
	left  int     // bytes of the body that have not come
}

// message goes on with the message that has begun.
func (r *Reader) message() (Item, error) {
	m := r.msg
	for !m.inner {
		if err := r.line(); err != nil {
			return nil, err
		}
		if r.lost {
			return nil, nil
		}
	}
	var err error
	if *m.body, err = r.fill(*m.body, &m.left); err != nil {
		return nil, err
	}
	r.msg = nil
	return m.item, nil
}

// line reads the rest of a line and takes it in.
func (r *Reader) line() error {
	m := r.msg
	b, err := r.peek(1, true)
	if err != nil {
		return err
	}
	n, ends := len(b), false
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		n, ends = i+1, true
	}
	if most := r.limits.Line + len("\r\n") + 1 - (len(m.text) - m.line); n >= most {
		n, ends = most, false // the line is too long, whatever it brings
	}
	m.text = append(m.text, b[:n]...)
	r.r += n
	m.size += n
	line := bytes.TrimSuffix(m.text[m.line:], []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	first := m.item == nil
	switch {
	case len(line) > r.limits.Line && first:
		return r.bad(414, "first line is longer than %d bytes", r.limits.Line)
	case len(line) > r.limits.Line:
		return r.bad(431, "header is longer than %d bytes", r.limits.Line)
	case m.size > r.limits.Head:
		return r.bad(431, "headers are longer than %d bytes", r.limits.Head)
	case !ends:
		return nil
	}
	m.text = m.text[:m.line+len(line)]
	for _, c := range line {
		if isControl(c) {
			return r.bad(400, "control byte %#x in a line", c)
		}
	}
	if first {
		if err := r.first(string(line)); err != nil || r.lost {
			return err
		}
		m.text = m.text[:0]
		return nil
	}
	if len(line) == 0 {
		return r.headers()
	}
	if m.lines++; m.lines > r.limits.Headers {
		return r.bad(431, "more than %d headers", r.limits.Headers)
	}
	m.text = append(m.text, '\n')
	m.line = len(m.text)
	return nil
}

// bad returns the error of a message that is refused; the text is for logs, too,
// where nothing belongs that a peer may want to keep secret. A first line that is none
// may be garbage: the Reader is lost then, which is not an error yet.
func (r *Reader) bad(status int, format string, args ...any) error {
	m := r.msg
	if m.item == nil && r.limits.Garbage > 0 {
		r.msg = nil
		r.lost = true
		return r.lose(m.size)
	}
	e := &Error{Status: status, Text: fmt.Sprintf(format, args...)}
	for f := range fields(string(m.text[:m.line])) {
		if strings.EqualFold(f.Name, "CSeq") {
			e.CSeq = f.Value
			break
		}
	}
	return e
}

// first takes in the first line: a request's (section 6.1) or a status line
// (section 7.1).
func (r *Reader) first(line string) error {
	m := r.msg
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.Trim(rest, " \t")
	var proto string
	if strings.Contains(word, "/") {
		code, reason, _ := strings.Cut(rest, " ")
		status, err := strconv.ParseUint(code, 10, 16)
		if err != nil || len(code) != 3 || status < 100 {
			return r.bad(400, "a status line without a status")
		}
		proto = word
		res := &Response{Status: int(status), Reason: strings.Trim(reason, " \t"), Proto: proto}
		m.item, m.h, m.body = res, &res.Header, &res.Body
	} else {
		i := max(strings.LastIndexAny(rest, " \t"), 0) // URLs with blanks in them do occur
		url := strings.TrimRight(rest[:i], " \t")
		if !isToken(word) || len(word) > longestMethod || url == "" {
			return r.bad(400, "a line that is no request")
		}
		proto = rest[i+1:]
		req := &Request{Method: word, URL: url, Proto: proto}
		m.item, m.h, m.body = req, &req.Header, &req.Body
	}
	name, v, _ := strings.Cut(proto, "/")
	m.http = name == "HTTP"
	switch {
	case len(v) != 3 || !isDigit(v[0]) || v[1] != '.' || !isDigit(v[2]) || name != "RTSP" && name != "HTTP":
		m.item = nil
		return r.bad(400, "not a version of RTSP")
	case m.http && (!r.limits.HTTP || v[0] != '1'):
		return r.bad(400, "%s is not spoken here", proto)
	case !m.http && v != "1.0" && !r.limits.AnyVersion:
		return r.bad(StatusVersionNotSupported, "%s is not spoken here", proto)
	}
	return nil
}

// headers takes in all headers, which have ended.
func (r *Reader) headers() error {
	m := r.msg
	_, isRequest := m.item.(*Request)
	length := ""
	all := make(Header, 0, m.lines)
	for f := range fields(string(m.text)) {
		switch {
		case f.Name == "" && isBlank(f.Value[0]) && len(all) > 0:
			last := &all[len(all)-1]
			last.Value = strings.Trim(last.Value+" "+strings.Trim(f.Value, " \t"), " ")
			continue
		case !isToken(f.Name) && isRequest:
			return r.bad(400, "a line that is no header")
		case !isToken(f.Name): // of a camera, which has more to tell
			continue
		}
		all = append(all, f)
	}
	*m.h = all
	for _, f := range all {
		switch {
		case !strings.EqualFold(f.Name, contentLength):
		case length != "" && length != f.Value:
			return r.bad(400, "more than one length")
		case !isNumber(f.Value):
			return r.bad(400, "a length that is no number")
		default:
			length = f.Value
		}
	}
	m.text, m.inner = nil, true
	if length == "" || m.http {
		return nil
	}
	n, err := strconv.ParseUint(length, 10, 31)
	if err != nil || n > uint64(r.limits.Body) {
		return &Error{Status: 413, Text: fmt.Sprintf("body is longer than %d bytes", r.limits.Body), CSeq: all.Get("CSeq")}
	}
	m.left = int(n)
	return nil
}

// fields yields the headers in lines that end with "\n" (section 4.2). What is
// no header, and what continues the header before, has no name.
func fields(text string) func(yield func(Field) bool) {
	return func(yield func(Field) bool) {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			name, value, ok := strings.Cut(line, ":")
			f := Field{strings.TrimRight(name, " \t"), strings.Trim(value, " \t")}
			if !ok || f.Name == "" || isBlank(line[0]) {
				f = Field{"", line}
			}
			if !yield(f) {
				return
			}
		}
	}
}

// isToken reports whether s may be a method or the name of a header (RFC 2068,
// section 2.2).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

func isNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isBlank(c byte) bool { return c == ' ' || c == '\t' }
