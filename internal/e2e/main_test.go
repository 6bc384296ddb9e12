package e2e

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// clips is where this run's media lies, see clip.file.
var clips clipStore

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mediakit-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	clips.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
