package limitlog

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		to, l := slog.New(slog.NewTextHandler(&out, nil)), Limiter{}
		for range 1000 {
			l.Log(to, slog.LevelWarn, "flood")
		}
		l.Log(to, slog.LevelWarn, "other")
		require.Equal(t, maxLinesOfKind, strings.Count(out.String(), "flood"))
		require.Equal(t, 1, strings.Count(out.String(), "other"))
		out.Reset()
		time.Sleep(time.Second)
		l.Log(to, slog.LevelWarn, "flood")
		require.Contains(t, out.String(), "left_out=990")
		out.Reset()
		time.Sleep(time.Second)
		for i := range 1000 {
			l.Log(to, slog.LevelWarn, fmt.Sprint("kind ", i%50))
		}
		require.Equal(t, maxLines, strings.Count(out.String(), "\n"))
	})
	(&Limiter{}).Log(nil, slog.LevelWarn, "discarded")
}
