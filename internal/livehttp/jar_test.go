package livehttp

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJar(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "example.com", Path: "/"}
	j := NewJar()
	for i := range 10 * maxCookies {
		j.SetCookies(u, []*http.Cookie{{Name: fmt.Sprint("c", i), Value: "x"}})
	}
	require.Len(t, j.Cookies(u), maxCookies)
	j.SetCookies(u, []*http.Cookie{{Name: "c1", Value: "new"}})
	for _, c := range j.Cookies(u) {
		if c.Name == "c1" {
			require.Equal(t, "new", c.Value, "one that is known changes")
		}
	}
	require.Empty(t, j.Cookies(&url.URL{Scheme: "http", Host: "example.org", Path: "/"}))
}
