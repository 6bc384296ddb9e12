package pusher

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/source"
)

// A field is what a server found in a form.
type field struct {
	name, file, typ, content string
}

// reception reads forms and answers with "thanks".
func reception(t *testing.T, fields *[]field, length *int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*length = r.ContentLength
		m, err := r.MultipartReader()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for {
			p, err := m.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			b, _ := io.ReadAll(p)
			*fields = append(*fields, field{p.FormName(), p.FileName(), p.Header.Get("Content-Type"), string(b)})
		}
		_, _ = io.WriteString(w, "thanks")
	}
}

func TestUpload(t *testing.T) {
	path := filepath.Join(t.TempDir(), `film "1".flv`)
	content := strings.Repeat("0123456789", 100_000)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	const octets = "application/octet-stream"
	for _, c := range []struct {
		name  string
		parts func() []Part
		want  []field
		known bool // the length is
	}{
		{"nothing", func() []Part { return nil }, nil, true},
		{"a value", func() []Part { return []Part{{Name: "a", Value: "ä\r\n--"}} }, []field{{"a", "", "", "ä\r\n--"}}, true},
		{"a file", func() []Part { return []Part{{Name: "f", Path: path}} }, []field{{"f", "film %221%22.flv", octets, content}}, true},
		{"several", func() []Part {
			return []Part{
				{Name: "a\r\nb", Value: "x"},
				{Name: "f", Path: path, FileName: "b.flv", Type: "video/x-flv\r\nX: y"},
				{Name: "r", Reader: strings.NewReader("read"), FileName: "r"},
			}
		}, []field{{"a%0D%0Ab", "", "", "x"}, {"f", "b.flv", "video/x-flvX: y", content}, {"r", "r", octets, "read"}}, true},
		{"a seeker in its middle", func() []Part {
			f := io.NewSectionReader(strings.NewReader(content), 0, 100)
			_, _ = f.Seek(90, io.SeekStart)
			return []Part{{Name: "s", Reader: f}}
		}, []field{{"s", "", "", "0123456789"}}, true},
		{"a stream", func() []Part {
			return []Part{{Name: "s", Reader: iotest.OneByteReader(strings.NewReader("slow"))}, {Name: "a", Value: "x"}}
		}, []field{{"s", "", "", "slow"}, {"a", "", "", "x"}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []field
			var length int64
			srv := httptest.NewServer(reception(t, &got, &length))
			defer srv.Close()
			var sent, total int64
			o := &UploadOptions{Header: http.Header{"X-App": {"a"}}, Progress: func(s, n int64) {
				require.Greater(t, s, sent)
				sent, total = s, n
			}}
			answer, err := Upload(filmtest.Soon(t), srv.URL+"/upload", o, c.parts()...)
			require.NoError(t, err)
			require.Equal(t, "thanks", string(answer))
			require.Equal(t, c.want, got)
			require.Equal(t, length, total)
			if c.known {
				require.Equal(t, length, sent)
			} else {
				require.EqualValues(t, -1, length)
			}
		})
	}
}

func TestUploadRefusals(t *testing.T) {
	early := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "too much", http.StatusRequestEntityTooLarge)
	}))
	defer early.Close()
	_, err := Upload(filmtest.Soon(t), early.URL, nil, Part{Name: "a", Value: "x"})
	var e *StatusError
	require.ErrorAs(t, err, &e)
	require.Equal(t, StatusError{Code: 413, Text: "too much"}, *e)
	// A form that is larger than what connections hold: who sends may find the
	// connection closed before there is an answer.
	_, err = Upload(filmtest.Soon(t), early.URL, nil, Part{Name: "a", Reader: io.LimitReader(zeros{}, 64<<20)})
	require.Error(t, err)
	_, err = Upload(filmtest.Soon(t), "ftp://example.com/", nil)
	require.ErrorIs(t, err, source.ErrUnsupported)
	_, err = Upload(filmtest.Soon(t), "http://", nil)
	require.ErrorIs(t, err, source.ErrBadKey)
	_, err = Upload(filmtest.Soon(t), early.URL, nil, Part{Name: "a", Path: filepath.Join(t.TempDir(), "none")})
	require.ErrorIs(t, err, fs.ErrNotExist)

	large := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, maxAnswer+1))
	}))
	defer large.Close()
	_, err = Upload(filmtest.Soon(t), large.URL, nil)
	require.ErrorIs(t, err, source.ErrLimit)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// A server that takes nothing; one that does not answer; somebody who gives up.
func TestUploadEnds(t *testing.T) {
	for _, takes := range []bool{false, true} {
		t.Run(fmt.Sprint("takes it: ", takes), func(t *testing.T) {
			hold := make(chan struct{})
			srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if takes {
					_, _ = io.Copy(io.Discard, r.Body)
				}
				<-hold
			}))
			defer srv.Close()
			defer close(hold)
			_, err := Upload(filmtest.Soon(t), srv.URL, &UploadOptions{Timeout: 50 * time.Millisecond}, Part{Name: "a", Reader: io.LimitReader(zeros{}, 16<<20)})
			require.ErrorIs(t, err, source.ErrTimeout)
			ctx, cancel := context.WithCancel(t.Context())
			_, err = Upload(ctx, srv.URL, &UploadOptions{Progress: func(int64, int64) { cancel() }}, Part{Name: "a", Reader: io.LimitReader(zeros{}, 16<<20)})
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

func ExampleUpload() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s: %s", r.FormValue("camera"), r.FormValue("note"))
	}))
	defer srv.Close()
	answer, err := Upload(context.Background(), srv.URL, nil,
		Part{Name: "camera", Value: "north"},
		Part{Name: "note", Reader: strings.NewReader("all quiet")})
	fmt.Println(string(answer), err)
	// Output: north: all quiet <nil>
}
