package rtsp

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// challengeCases are WWW-Authenticate headers, some of which are odd.
var challengeCases = []struct {
	header string
	want   string // scheme, realm, nonce, and other parameters
}{
	{`Digest realm="R", nonce="N"`, "digest R N"},
	{`digest REALM = "R" , Nonce="N",stale=FALSE`, "digest R N stale=FALSE"},
	{`Digest realm=IP Camera(123), nonce=abc=, algorithm=MD5`, "digest IP Camera(123) abc= algorithm=MD5"},
	{`Digest realm='R, with comma', nonce='N'`, "digest R, with comma N"},
	{`Digest realm="R" nonce="N" qop="auth,auth-int"`, "digest R N qop=auth,auth-int"},
	{`Digest realm="a \"b\" \\c", nonce="N"`, `digest a "b" \c N`},
	{`Digest realm="never closed, nonce=`, "digest never closed, nonce= "},
	{`Basic realm="R"`, "basic R "},
	{`Basic`, "basic  "},
	{`Basic realm="B", Digest realm="R", nonce="N", opaque="x"`, "basic B  | digest R N opaque=x"},
	{`,, realm="orphan", =, "`, ""},
	{``, ""},
	{`NTLM`, "ntlm  "},
}

func TestParseChallenges(t *testing.T) {
	for _, c := range challengeCases {
		var got []string
		for _, ch := range parseChallenges(c.header) {
			s := ch.scheme + " " + ch.param("realm") + " " + ch.param("nonce")
			for _, p := range ch.params {
				if p.name != "realm" && p.name != "nonce" {
					s += " " + p.name + "=" + p.value
				}
			}
			got = append(got, s)
		}
		if c.header == `,, realm="orphan", =, "` {
			continue // anything will do
		}
		require.Equal(t, c.want, strings.Join(got, " | "), c.header)
	}
}

func FuzzParseChallenges(f *testing.F) {
	for _, c := range challengeCases {
		f.Add(c.header)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l := login{user: "u", password: "p", ok: true}
		if again, _ := l.learn([]string{s}, ""); again {
			if h := l.authorization("DESCRIBE", "rtsp://h/a"); !strings.HasPrefix(h, "Digest ") && !strings.HasPrefix(h, "Basic ") {
				t.Fatal(h)
			}
		}
	})
}

// authorized returns the parameters of an Authorization header.
func authorized(h string) map[string]string {
	m := map[string]string{}
	for _, c := range parseChallenges(h) {
		m["scheme"] = c.scheme
		for _, p := range c.params {
			m[p.name] = p.value
		}
	}
	return m
}

func TestLogin(t *testing.T) {
	const uri = "rtsp://h/a"
	for _, c := range []struct {
		name    string
		login   login
		headers []string
		can     bool
		check   func(a map[string]string, header string)
	}{
		{"nobody", login{}, []string{`Basic realm="R"`}, false, nil},
		{"nothing known", login{user: "u", ok: true}, []string{"NTLM", `Digest realm="R", nonce="N", algorithm=MD5-sess`, `Digest realm="R"`}, false, nil},
		{"basic", login{user: "u", password: "p:q", ok: true}, []string{`Basic realm="R"`}, true, func(_ map[string]string, h string) {
			require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("u:p:q")), h)
		}},
		{"the best one", login{user: "u", password: "p", ok: true},
			[]string{`Digest realm="R", nonce="1"`, `Digest realm="R", nonce="2", algorithm="sha-256"`, `Basic realm="R"`}, true, func(a map[string]string, _ string) {
				require.Equal(t, "2", a["nonce"])
				require.Equal(t, sha256Hex(sha256Hex("u:R:p")+":2:"+sha256Hex("PLAY:"+uri)), a["response"])
				require.Equal(t, "sha-256", a["algorithm"])
			}},
		{"md5", login{user: `u"`, password: "p", ok: true}, []string{`Digest realm="R\"", nonce="N", opaque="O"`}, true, func(a map[string]string, _ string) {
			require.Equal(t, `u"`, a["username"])
			require.Equal(t, `R"`, a["realm"])
			require.Equal(t, "O", a["opaque"])
			require.Equal(t, uri, a["uri"])
			require.Empty(t, a["qop"])
			require.Equal(t, md5Hex(md5Hex(`u":R":p`)+":N:"+md5Hex("PLAY:"+uri)), a["response"])
		}},
		{"qop", login{user: "u", password: "p", ok: true}, []string{`Digest realm="R", nonce="N", qop="auth-int, AUTH"`}, true, func(a map[string]string, _ string) {
			require.Equal(t, "auth", a["qop"])
			require.Equal(t, "00000001", a["nc"])
			require.NotEmpty(t, a["cnonce"])
			require.Equal(t, md5Hex(md5Hex("u:R:p")+":N:00000001:"+a["cnonce"]+":auth:"+md5Hex("PLAY:"+uri)), a["response"])
		}},
		{"HA1", login{user: "u", password: strings.ToUpper(md5Hex("u:R:p")), hashed: true, ok: true},
			[]string{`Basic realm="R"`, `Digest realm="R", nonce="2", algorithm=SHA-256`, `Digest realm="R", nonce="N"`}, true, func(a map[string]string, _ string) {
				require.Equal(t, md5Hex(md5Hex("u:R:p")+":N:"+md5Hex("PLAY:"+uri)), a["response"])
			}},
		{"HA1 of SHA-256", login{user: "u", password: sha256Hex("u:R:p"), hashed: true, ok: true},
			[]string{`Digest realm="R", nonce="N"`, `Digest realm="R", nonce="2", algorithm=SHA-256`}, true, func(a map[string]string, _ string) {
				require.Equal(t, sha256Hex(sha256Hex("u:R:p")+":2:"+sha256Hex("PLAY:"+uri)), a["response"])
			}},
		{"HA1 is no password", login{user: "u", password: md5Hex("u:R:p"), hashed: true, ok: true}, []string{`Basic realm="R"`}, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := c.login
			require.Empty(t, l.authorization("PLAY", uri))
			again, stale := l.learn(c.headers, "")
			require.Equal(t, c.can, again)
			require.False(t, stale)
			h := l.authorization("PLAY", uri)
			require.Equal(t, c.can, h != "")
			if c.check != nil {
				c.check(authorized(h), h)
			}
		})
	}

	l := login{user: "u", password: "p", ok: true}
	again, _ := l.learn([]string{`Digest realm="R", nonce="1", qop=auth`}, "")
	require.True(t, again)
	first := authorized(l.authorization("PLAY", uri))
	second := authorized(l.authorization("PLAY", uri))
	require.Equal(t, "00000002", second["nc"])
	require.NotEqual(t, first["cnonce"], second["cnonce"])
	again, _ = l.learn([]string{`Digest realm="R", nonce="1", stale=true`}, "sent")
	require.False(t, again, "the same nonce")
	again, stale := l.learn([]string{`Digest realm="R", nonce="2", stale="TRUE"`}, "sent")
	require.True(t, again)
	require.True(t, stale)
	again, _ = l.learn([]string{`Basic realm="R"`}, "sent")
	require.False(t, again, "Basic says the same again")
}

// Servers ask for a login where they please.
func TestClientLoginAnywhere(t *testing.T) {
	film := filming(t, camStream, time.Second)
	for _, c := range []struct {
		name   string
		refuse func(method, nonce string, n int) (challenge string) // n: how many requests of the method came before
		ok     bool
		most   int // requests of one method
	}{
		{"at every request, the same nonce", func(_, nonce string, _ int) string {
			if nonce == "n" {
				return ""
			}
			return `Digest realm='odd, realm', nonce = n`
		}, true, 4},
		{"at SETUP only", func(method, nonce string, _ int) string {
			if method != wire.MethodSetup || nonce == "n" {
				return ""
			}
			return `Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256`
		}, true, 3},
		{"a nonce for each request", func(method, nonce string, n int) string {
			if nonce == fmt.Sprint(method, n) {
				return ""
			}
			return fmt.Sprintf(`Digest realm="r", nonce="%s%d"`, method, n+1)
		}, true, 4},
		{"stale, and stale again", func(method, nonce string, n int) string {
			if method != wire.MethodDescribe || n == 2 {
				return ""
			}
			return fmt.Sprintf(`Digest realm="r", nonce="%d", stale=true`, n)
		}, true, 4},
		{"stale for ever", func(_, _ string, n int) string {
			return fmt.Sprintf(`Digest realm="r", nonce="%d", stale=true`, n)
		}, false, 3},
		{"wrong", func(_, _ string, n int) string {
			return fmt.Sprintf(`Digest realm="r", nonce="%d"`, n)
		}, false, 2},
		{"basic, wrong", func(string, string, int) string { return `Basic realm="r"` }, false, 2},
		{"no challenge", func(string, string, int) string { return " " }, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			count := map[string]int{}
			cam := camera{sdp: film.sdp, played: film.show, answer: func(cc *cameraConn, req *wire.Request) bool {
				n := count[req.Method]
				count[req.Method]++
				if req.Method == wire.MethodTeardown {
					return false
				}
				challenge := c.refuse(req.Method, authorized(req.Header.Get("Authorization"))["nonce"], n)
				if challenge == "" {
					return false
				}
				cc.reply(req, "401 Unauthorized", "WWW-Authenticate: "+challenge+"\n", "")
				return true
			}}
			r, err := (&Client{Transport: TransportTCP}).Open(soon(t), cam.start(t))
			if c.ok {
				require.NoError(t, err)
				require.Len(t, readAll(t, r), len(film.frames))
				require.NoError(t, r.Close())
			} else {
				require.ErrorIs(t, err, source.ErrUnauthorized)
			}
			for method, n := range count {
				require.LessOrEqual(t, n, c.most, method)
			}
		})
	}
}
