package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNginx has our clients talk to nginx-rtmp: one publishes, the other plays.
func TestNginx(t *testing.T) {
	t.Parallel()
	const module = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
	find(t, "nginx")
	if _, err := os.Stat(module); err != nil {
		without(t, "nginx-rtmp")
	}
	addr, dir := freeAddr(t), t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
		load_module %s;
		daemon off; master_process off; pid %s/pid; error_log %s/error.log;
		events { worker_connections 64; }
		rtmp { server { listen %s; application live { live on; wait_key on; } } }
	`, module, dir, dir, addr), 0o600))
	start(t, "nginx", "-p", dir, "-c", config, "-e", filepath.Join(dir, "error.log"))
	listens(t, addr)

	f := load(t, clip{video: "h264", audio: "aac", bframes: 2, duration: 3 * time.Second})
	url := "rtmp://" + addr + "/live/t"
	viewer := play(t, url) // it comes when it comes: nginx does not tell
	push(t, f, url)
	got := viewer()
	require.NotEmpty(t, got)
	f.requireTail(t, got)
}
