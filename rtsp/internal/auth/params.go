package auth

import (
	"errors"
	"strings"
)

// errParams is the error for parameters that are none.
var errParams = errors.New("bad parameters")

// params are the parameters of a header by their names in lower case.
type params map[string]string

// maxParams is how many parameters there may be. Digest has 13.
const maxParams = 32

// parseParams parses name=value pairs with commas between them (RFC 7235,
// section 2.1). Values may be quoted; in those that are not, some clients leave
// nearly everything but commas. A name must not come twice.
func parseParams(s string) (params, error) {
	p := params{}
	for {
		if s = strings.TrimLeft(s, " \t,"); s == "" {
			return p, nil
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.TrimRight(name, " \t"))
		if _, twice := p[name]; !ok || name == "" || twice || len(p) == maxParams || strings.ContainsAny(name, " \t,\"") {
			return nil, errParams
		}
		rest = strings.TrimLeft(rest, " \t")
		if strings.HasPrefix(rest, `"`) {
			if p[name], rest, ok = unquote(rest[1:]); !ok {
				return nil, errParams
			}
			if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != ',' {
				return nil, errParams
			}
		} else {
			var v string
			v, rest, _ = strings.Cut(rest, ",")
			p[name] = strings.TrimRight(v, " \t")
		}
		s = rest
	}
}

// unquote returns what is quoted at the beginning of s, without its first quote,
// and what follows.
func unquote(s string) (value, rest string, ok bool) {
	i := strings.IndexAny(s, `"\`)
	if i >= 0 && s[i] == '"' {
		return s[:i], s[i+1:], true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// quote quotes s. Control bytes become blanks.
func quote(s string) string {
	b := []byte{'"'}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
