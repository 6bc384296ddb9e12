package rtmp

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		err           error
		play, publish string
	}{
		{source.ErrNotFound, codePlayNotFound, codePublishFailed},
		{source.ErrTimeout, codePlayNotFound, codePublishFailed},
		{source.ErrBadKey, codePlayNotFound, codePublishBadName},
		{source.ErrBusy, codePlayFailed, codePublishBadName},
		{source.ErrUnauthorized, codePlayBadAuth, codePublishBadAuth},
		{&source.Challenge{Realm: "r"}, codePlayBadAuth, codePublishBadAuth},
		{source.ErrForbidden, codePlayBadAuth, codePublishBadAuth},
		{source.ErrLimit, codePlayFailed, codePublishFailed},
		{errors.New("other"), codePlayFailed, codePublishFailed},
	} {
		for want, publish := range map[string]bool{c.play: false, c.publish: true} {
			code, text := refusal(source.Refuse(c.err, "because"), publish)
			require.Equal(t, want, code, c.err)
			require.Equal(t, "because", text)
			_, text = refusal(c.err, publish)
			require.NotEmpty(t, text)
		}
	}
}

func TestStatusError(t *testing.T) {
	for code, want := range map[string]error{
		codePlayNotFound:   source.ErrNotFound,
		codePlayBadAuth:    source.ErrUnauthorized,
		codePublishBadAuth: source.ErrUnauthorized,
		codePublishBadName: source.ErrBusy,
	} {
		require.ErrorIs(t, &StatusError{Code: code}, want)
	}
	require.NoError(t, errors.Unwrap(&StatusError{Code: codePlayFailed}))
	require.Equal(t, "rtmp: A.B: c", (&StatusError{"A.B", "c"}).Error())
	require.Equal(t, "rtmp: A.B", (&StatusError{Code: "A.B"}).Error())
}
