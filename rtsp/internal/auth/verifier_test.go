package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gortsplib "github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

const (
	realm    = "Media \"Kit\""
	url      = "rtsp://h:8554/live/cam?a=b"
	password = "s3cret:x"
)

// secrets are how a password may be kept.
var secrets = map[string]struct {
	secret string
	hashed bool
}{
	"plain":         {password, false},
	"HA1":           {algorithmMD5.sum("ann", realm, password), true},
	"HA1 upper":     {strings.ToUpper(algorithmMD5.sum("ann", realm, password)), true},
	"HA1 (SHA-256)": {algorithmSHA256.sum("ann", realm, password), true},
}

// challenge knows ann, and bob, who has no password.
func challenge(basic bool, secret string, hashed bool) *source.Challenge {
	return &source.Challenge{Realm: realm, Basic: basic, Secret: func(_ context.Context, user string, plain bool) (string, bool, error) {
		if plain != basic {
			return "", false, errors.New("asked for the wrong kind of secret")
		}
		switch user {
		case "ann":
			return secret, hashed, nil
		case "bob":
			return "", false, nil
		}
		return "", false, source.ErrNotFound
	}}
}

// nonceIn returns the nonce of a challenge.
func nonceIn(t *testing.T, line string) string {
	t.Helper()
	scheme, rest, _ := strings.Cut(line, " ")
	require.Equal(t, "Digest", scheme)
	p, err := parseParams(rest)
	require.NoError(t, err)
	require.Equal(t, realm, p["realm"])
	return p["nonce"]
}

// answer is what a client says.
type answer struct {
	user, password, realm, nonce, uri, method, algorithm, qop string
}

func (a answer) String() string {
	alg := algorithm(a.algorithm)
	if alg != algorithmSHA256 {
		alg = algorithmMD5
	}
	d := digest{algorithm: alg, nonce: a.nonce, uri: a.uri, qop: a.qop, nc: "00000001", cnonce: "xyz"}
	s := fmt.Sprintf(`Digest username=%s, realm=%s, nonce="%s", uri=%s, response="%s"`, quote(a.user), quote(a.realm), a.nonce, quote(a.uri),
		d.want(alg.sum(a.user, a.realm, a.password), a.method))
	if a.algorithm != "" {
		s += ", algorithm=" + a.algorithm
	}
	if a.qop != "" {
		s += `, qop=` + a.qop + `, nc=00000001, cnonce="xyz"`
	}
	return s
}

func TestChallenge(t *testing.T) {
	var v Verifier
	lines := v.Challenge(challenge(true, password, false), true)
	require.Equal(t, []string{`Basic realm="Media \"Kit\""`}, lines)

	c := challenge(false, password, false)
	lines = v.Challenge(c, false)
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], "algorithm=SHA-256")
	require.NotContains(t, lines[1], "algorithm", "some clients do not know it, and take the last challenge")
	require.NotContains(t, strings.Join(lines, ""), "stale")
	require.Equal(t, nonceIn(t, lines[0]), nonceIn(t, lines[1]))
	for _, line := range v.Challenge(c, true) {
		require.Contains(t, line, "stale=true")
	}
	require.NotEqual(t, nonceIn(t, lines[0]), nonceIn(t, v.Challenge(c, false)[0]))

	c.MD5 = true
	lines = v.Challenge(c, false)
	require.Len(t, lines, 1)
	require.NotContains(t, lines[0], "algorithm")
}

func TestDigest(t *testing.T) {
	right := answer{user: "ann", password: password, realm: realm, uri: url, method: "PLAY"}
	for _, c := range []struct {
		name   string
		change func(*answer)
		ok     bool
	}{
		{"right", func(*answer) {}, true},
		{"explicit MD5", func(a *answer) { a.algorithm = "md5" }, true},
		{"with qop", func(a *answer) { a.qop = "auth" }, true},
		{"relative URI", func(a *answer) { a.uri = "/live/cam?a=b" }, true},
		{"for DESCRIBE", func(a *answer) { a.method = "DESCRIBE" }, true},
		{"for another method", func(a *answer) { a.method = "PAUSE" }, false},
		{"wrong password", func(a *answer) { a.password = "x" }, false},
		{"empty password", func(a *answer) { a.password = "" }, false},
		{"unknown user", func(a *answer) { a.user = "eve" }, false},
		{"unknown user with the password of nobody", func(a *answer) { a.user, a.password = "eve", "\x00nobody" }, false},
		{"user without a password", func(a *answer) { a.user, a.password = "bob", "" }, false},
		{"no user", func(a *answer) { a.user = "" }, false},
		{"long user", func(a *answer) { a.user = strings.Repeat("a", 257) }, false},
		{"another realm", func(a *answer) { a.realm = "x" }, false},
		{"another path", func(a *answer) { a.uri = "rtsp://h/live/other" }, false},
		{"no path", func(a *answer) { a.uri = "" }, false},
		{"MD5-sess", func(a *answer) { a.algorithm = "MD5-sess" }, false},
		{"unknown algorithm", func(a *answer) { a.algorithm = "x" }, false},
		{"auth-int", func(a *answer) { a.qop = "auth-int" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v Verifier
			for name, s := range secrets {
				for _, alg := range []algorithm{algorithmMD5, algorithmSHA256} {
					if s.hashed && algorithmOf(s.secret) != alg {
						continue
					}
					ch := challenge(false, s.secret, s.hashed)
					a := right
					a.nonce = nonceIn(t, v.Challenge(ch, false)[0])
					if alg == algorithmSHA256 {
						a.algorithm = string(alg)
					}
					c.change(&a)
					if alg == algorithmSHA256 && a.algorithm != string(alg) {
						continue // the case is about the algorithm
					}
					for range 3 { // players use a nonce again, on other connections, too
						user, stale, err := v.Verify(t.Context(), ch, a.String(), "PLAY", url)
						require.False(t, stale)
						if !c.ok {
							require.ErrorIs(t, err, ErrWrong, name)
							require.ErrorIs(t, err, source.ErrUnauthorized)
							require.Empty(t, user)
							continue
						}
						require.NoError(t, err, name)
						require.Equal(t, "ann", user)
					}
				}
			}
		})
	}
}

// TestEqualAnswers: nobody learns whether a user exists.
func TestEqualAnswers(t *testing.T) {
	var v Verifier
	for _, basic := range []bool{false, true} {
		c := challenge(basic, password, false)
		texts := map[string]bool{}
		for _, user := range []string{"ann", "bob", "eve"} {
			s := answer{user: user, password: "wrong", realm: realm, uri: url, method: "PLAY", nonce: v.mintedNonce(c)}.String()
			if basic {
				s = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":wrong"))
			}
			_, stale, err := v.Verify(t.Context(), c, s, "PLAY", url)
			require.False(t, stale)
			require.Error(t, err)
			texts[err.Error()] = true
		}
		require.Len(t, texts, 1)
	}
}

func (v *Verifier) mintedNonce(c *source.Challenge) string {
	v.init()
	return v.mint.nonce(c.Realm)
}

func TestBasic(t *testing.T) {
	var v Verifier
	for name, s := range secrets {
		c := challenge(true, s.secret, s.hashed)
		for in, ok := range map[string]bool{
			"Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+password)):                       true,
			"BASIC  " + base64.StdEncoding.EncodeToString([]byte("ann:"+password)) + " ":                true,
			"Basic " + base64.StdEncoding.EncodeToString([]byte("ann:s3cret")):                          false,
			"Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+s.secret)):                       !s.hashed, // the hash is not the password
			"Basic " + base64.StdEncoding.EncodeToString([]byte("ann")):                                 false,
			"Basic " + base64.StdEncoding.EncodeToString([]byte("bob:")):                                false,
			"Basic " + base64.StdEncoding.EncodeToString([]byte("eve:\x00nobody")):                      false,
			"Basic " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 300)+":"+password)): false,
			"Basic ann:" + password: false,
			"Basic":                 false,
			"Bearer x":              false,
			answer{user: "ann", password: password, realm: realm, uri: url, method: "PLAY", nonce: v.mintedNonce(c)}.String(): false,
		} {
			user, _, err := v.Verify(t.Context(), c, in, "PLAY", url)
			if ok {
				require.NoError(t, err, "%s: %s", name, in)
				require.Equal(t, "ann", user)
			} else {
				require.ErrorIs(t, err, ErrWrong, "%s: %s", name, in)
				require.Empty(t, user)
			}
		}
	}
}

func TestMissing(t *testing.T) {
	var v Verifier
	for _, basic := range []bool{false, true} {
		_, stale, err := v.Verify(t.Context(), challenge(basic, password, false), " ", "PLAY", url)
		require.ErrorIs(t, err, ErrMissing)
		require.ErrorIs(t, err, source.ErrUnauthorized)
		require.False(t, stale)
	}
	_, _, err := v.Verify(t.Context(), challenge(false, password, false), "Basic "+base64.StdEncoding.EncodeToString([]byte("ann:"+password)), "PLAY", url)
	require.ErrorIs(t, err, ErrWrong, "a clear-text password that nobody asked for")
	_, _, err = v.Verify(t.Context(), &source.Challenge{Realm: realm}, answer{user: "ann", realm: realm, uri: url, nonce: "x"}.String(), "PLAY", url)
	require.ErrorIs(t, err, ErrWrong, "nobody knows the secrets")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = v.Verify(ctx, challenge(false, password, false), answer{user: "ann", realm: realm, uri: url, nonce: "x"}.String(), "PLAY", url)
	require.ErrorIs(t, err, context.Canceled)
}

// TestNonces: row T9. A nonce lives for 300 s; who has the password is told that
// it is stale, others are not.
func TestNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v, other Verifier
		c := challenge(false, password, false)
		a := answer{user: "ann", password: password, realm: realm, uri: url, method: "PLAY", nonce: nonceIn(t, v.Challenge(c, false)[0])}
		wrong := a
		wrong.password = "x"
		verify := func(v *Verifier, c *source.Challenge, a answer) (bool, error) {
			_, stale, err := v.Verify(t.Context(), c, a.String(), "PLAY", url)
			return stale, err
		}
		_, err := verify(&v, c, a)
		require.NoError(t, err)

		time.Sleep(300 * time.Second)
		_, err = verify(&v, c, a)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		stale, err := verify(&v, c, a)
		require.ErrorIs(t, err, ErrWrong)
		require.True(t, stale)
		stale, err = verify(&v, c, wrong)
		require.ErrorIs(t, err, ErrWrong)
		require.False(t, stale)

		// Nonces of another server, of another realm, and made up ones.
		elsewhere := *c
		elsewhere.Realm = "elsewhere"
		for _, nonce := range []string{
			nonceIn(t, other.Challenge(c, false)[0]), v.mintedNonce(&elsewhere), "x", strings.Repeat("A", 54), a.nonce + "A",
		} {
			b := a
			b.nonce = nonce
			stale, err = verify(&v, c, b)
			require.ErrorIs(t, err, ErrWrong)
			require.True(t, stale)
			b.password = "x"
			stale, err = verify(&v, c, b)
			require.ErrorIs(t, err, ErrWrong)
			require.False(t, stale)
		}
	})
}

// TestNonceBits: no bit of a nonce can be changed.
func TestNonceBits(t *testing.T) {
	m := newMint()
	n := m.nonce(realm)
	require.True(t, m.fresh(n, realm))
	require.False(t, m.fresh(n, "x"))
	b, err := base64.RawURLEncoding.DecodeString(n)
	require.NoError(t, err)
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		require.False(t, m.fresh(base64.RawURLEncoding.EncodeToString(b), realm))
		b[i/8] ^= 1 << (i % 8)
	}
}

// TestGortsplib: another implementation's answers.
func TestGortsplib(t *testing.T) {
	for _, basic := range []bool{false, true} {
		var v Verifier
		c := challenge(basic, password, false)
		c.Realm = "MediaKit" // it cannot read quotes in it
		for last := range 2 {
			lines := v.Challenge(c, false)
			if last == 1 {
				lines = lines[len(lines)-1:]
			}
			for _, method := range []base.Method{base.Describe, base.Setup, base.Announce} {
				for _, pw := range []string{password, "x"} {
					s := &gortsplib.Sender{WWWAuth: lines, User: "ann", Pass: pw}
					require.NoError(t, s.Initialize())
					u, err := base.ParseURL(url)
					require.NoError(t, err)
					req := &base.Request{Method: method, URL: u}
					s.AddAuthorization(req)
					user, _, err := v.Verify(t.Context(), c, req.Header["Authorization"][0], string(method), url)
					if pw == password {
						require.NoError(t, err)
						require.Equal(t, "ann", user)
					} else {
						require.ErrorIs(t, err, ErrWrong)
					}
				}
			}
		}
	}
}

// FuzzVerify: nobody gets in who does not know the password.
func FuzzVerify(f *testing.F) {
	var v Verifier
	f.Add(answer{user: "ann", password: "x", realm: realm, uri: url, method: "PLAY", nonce: v.mintedNonce(challenge(false, "", false)), qop: "auth"}.String(), "PLAY", url)
	f.Add("Basic "+base64.StdEncoding.EncodeToString([]byte("ann:x")), "PLAY", url)
	for _, c := range paramsCases {
		f.Add("Digest "+c.in, "SETUP", url)
	}
	f.Fuzz(func(t *testing.T, authorization, method, url string) {
		for _, basic := range []bool{false, true} {
			if user, _, err := v.Verify(t.Context(), challenge(basic, password, false), authorization, method, url); err == nil || user != "" {
				t.Fatalf("%q lets in %q", authorization, user)
			}
		}
	})
}
