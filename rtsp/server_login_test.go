package rtsp

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/source"
)

// guarded is a Handler that asks for a login of alice, whose password is "pass",
// and refuses everybody else of whom it knows the password.
type guarded struct {
	source.Handler
	basic bool
	asked []string // users
}

func (g *guarded) check(req *source.Request) error {
	g.asked = append(g.asked, req.User)
	switch req.User {
	case "alice":
		return nil
	case "":
		return &source.Challenge{Realm: "test", Basic: g.basic, Secret: func(_ context.Context, user string, _ bool) (string, bool, error) {
			if user == "alice" || user == "bob" {
				return "pass", false, nil
			}
			return "", false, source.ErrNotFound
		}}
	}
	return source.ErrForbidden
}

func (g *guarded) Play(ctx context.Context, req *source.Request) (source.Reader, error) {
	if err := g.check(req); err != nil {
		return nil, err
	}
	return g.Handler.Play(ctx, req)
}

func (g *guarded) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	if err := g.check(req); err != nil {
		return nil, err
	}
	return g.Handler.Publish(ctx, req)
}

// challengeNonce returns the nonce in a challenge.
func challengeNonce(challenge string) string {
	_, rest, _ := strings.Cut(challenge, `nonce="`)
	nonce, _, _ := strings.Cut(rest, `"`)
	return nonce
}

// digestAnswer returns the Authorization of a user.
func digestAnswer(algorithm, user, password, nonce, method, uri string) string {
	sum := func(s string) string {
		if algorithm == "SHA-256" {
			d := sha256.Sum256([]byte(s))
			return hex.EncodeToString(d[:])
		}
		d := md5.Sum([]byte(s))
		return hex.EncodeToString(d[:])
	}
	response := sum(sum(user+":test:"+password) + ":" + nonce + ":" + sum(method+":"+uri))
	s := fmt.Sprintf(`Digest username="%s", realm="test", nonce="%s", uri="%s", response="%s"`, user, nonce, uri, response)
	if algorithm != "MD5" {
		s += ", algorithm=" + algorithm
	}
	return s
}

func basicAnswer(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestServerLogin plays after a login, by every scheme.
func TestServerLogin(t *testing.T) {
	for _, scheme := range []string{"MD5", "SHA-256", "Basic"} {
		t.Run(scheme, func(t *testing.T) {
			hub := newHub(t)
			h := &guarded{Handler: hub, basic: scheme == "Basic"}
			s := &Server{Handler: h}
			url := startServer(t, s) + "cam"
			feed(t, hub, "cam", testStream).write(t, 50)
			p := dialPeer(t, url)
			challenges := p.do(401, "DESCRIBE", url).Header.Values("WWW-Authenticate")
			var answer func(method, uri string) string
			switch scheme {
			case "Basic":
				require.Equal(t, []string{`Basic realm="test"`}, challenges)
				answer = func(string, string) string { return basicAnswer("alice", "pass") }
			default:
				require.Len(t, challenges, 2)
				require.Contains(t, challenges[0], "SHA-256")
				nonce := challengeNonce(challenges[1])
				answer = func(method, uri string) string { return digestAnswer(scheme, "alice", "pass", nonce, method, uri) }
			}
			r := p.do(200, "DESCRIBE", url, "Authorization", answer("DESCRIBE", url))
			for i := range 2 {
				track := fmt.Sprintf("%strackID=%d", r.Header.Get("Content-Base"), i)
				p.do(200, "SETUP", track, "Transport", tcp, "Authorization", answer("SETUP", track))
			}
			p.do(200, "PLAY", url, "Authorization", answer("PLAY", url))
			require.Equal(t, []string{"", "", "alice"}, h.asked)
			require.Zero(t, s.Stats().LoginsFailed)

			// A nonce is good on other connections, too; so is SETUP without DESCRIBE.
			p = dialPeer(t, url)
			p.do(200, "SETUP", url+"/trackID=0", "Transport", tcp, "Authorization", answer("SETUP", url+"/trackID=0"))
			p.do(200, "PLAY", url)

			// Who is known and not wanted.
			p = dialPeer(t, url)
			bob := basicAnswer("bob", "pass")
			if scheme != "Basic" {
				bob = digestAnswer(scheme, "bob", "pass", challengeNonce(challenges[1]), "DESCRIBE", url)
			}
			p.do(403, "DESCRIBE", url, "Authorization", bob)
			p.requireClosed()
		})
	}
}

// TestServerLoginFails: limits T9. Five wrong answers close the connection; an answer
// says nothing of whether the user exists; nothing to answer is no failure.
func TestServerLoginFails(t *testing.T) {
	for _, scheme := range []string{"MD5", "Basic"} {
		hub := newHub(t)
		s := &Server{Handler: &guarded{Handler: hub, basic: scheme == "Basic"}}
		url := startServer(t, s) + "cam"
		p := dialPeer(t, url)
		nonce := ""
		for range 3 {
			nonce = challengeNonce(p.do(401, "DESCRIBE", url).Header.Values("WWW-Authenticate")[0])
		}
		for i := range 5 {
			user := []string{"alice", "nobody"}[i%2]
			answer := basicAnswer(user, "wrong")
			if scheme != "Basic" {
				answer = digestAnswer(scheme, user, "wrong", nonce, "DESCRIBE", url)
			}
			r := p.do(401, "DESCRIBE", url, "Authorization", answer)
			require.NotEmpty(t, r.Header.Values("WWW-Authenticate"))
			require.Empty(t, r.Body)
			require.Equal(t, i == 4, r.Header.Get("Connection") == "Close")
		}
		p.requireClosed()
		require.EqualValues(t, 5, s.Stats().LoginsFailed)
		require.EqualValues(t, 1, s.Stats().Refused)
	}
}

// TestServerLoginStale: an old nonce costs another round, and is no failure.
func TestServerLoginStale(t *testing.T) {
	hub := &source.Hub{MaxWait: -1}
	s := &Server{Handler: &guarded{Handler: hub}}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		const url = "rtsp://h/live/cam"
		feed(t, hub, "cam", testStream).write(t, 50)
		nonce := challengeNonce(memoryPeer(t, ln).do(401, "DESCRIBE", url).Header.Values("WWW-Authenticate")[1])
		time.Sleep(301 * time.Second)
		p := memoryPeer(t, ln)
		for range 6 {
			r := p.do(401, "DESCRIBE", url, "Authorization", digestAnswer("MD5", "alice", "pass", nonce, "DESCRIBE", url))
			require.Contains(t, r.Header.Values("WWW-Authenticate")[1], "stale=true")
		}
		nonce = challengeNonce(p.do(401, "DESCRIBE", url).Header.Values("WWW-Authenticate")[1])
		p.do(200, "DESCRIBE", url, "Authorization", digestAnswer("MD5", "alice", "pass", nonce, "DESCRIBE", url))
		require.Zero(t, s.Stats().LoginsFailed)
		require.NoError(t, hub.Close())
	})
}
