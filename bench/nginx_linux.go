package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
)

// nginx is a running nginx with the RTMP module.
type nginx struct {
	cmd  *exec.Cmd
	dir  string
	addr string
}

// nginxModules are the places where packages put the module.
var nginxModules = []string{
	"/usr/lib/nginx/modules/ngx_rtmp_module.so",
	"/usr/lib64/nginx/modules/ngx_rtmp_module.so",
	"/usr/share/nginx/modules/ngx_rtmp_module.so",
	"/etc/nginx/modules/ngx_rtmp_module.so",
	"/usr/local/nginx/modules/ngx_rtmp_module.so",
}

// errNoNginx says that nginx or its module is not installed.
var errNoNginx = errors.New("nginx with the RTMP module is not installed")

// findNginx returns the program and the module.
func findNginx() (program, module string, err error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if program, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return "", "", errNoNginx
	}
	for _, module = range nginxModules {
		if _, err := os.Stat(module); err == nil {
			return program, module, nil
		}
	}
	return "", "", errNoNginx
}

// nginxConfig has the module's defaults in all that concerns speed. One process
// does all the work: without that, a viewer would not find a stream that was
// published to another.
const nginxConfig = `load_module %s;
daemon off;
master_process off;
pid %s/pid;
error_log stderr crit;
events { worker_connections 16000; }
rtmp {
	access_log off;
	server {
		listen %s;
		application %s { live on; }
	}
}
`

// staticConfig serves a folder with as many processes as there are cores, as
// packages set it up.
const staticConfig = `worker_processes auto;
%sdaemon off;
pid %s/pid;
error_log stderr crit;
events { worker_connections 1000; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000;
	server {
		listen %s;
		root %s;
	}
}
`

// startNginx starts nginx with a configuration of its own.
func startNginx() (*nginx, error) {
	program, module, err := findNginx()
	if err != nil {
		return nil, err
	}
	return runNginx(program, func(dir, addr string) string {
		return fmt.Sprintf(nginxConfig, module, dir, addr, streamApp)
	})
}

// startStatic starts nginx with the files in root.
func startStatic(root string) (*nginx, error) {
	program, _, err := findNginx()
	if err != nil {
		return nil, err
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n" // who may read root
	}
	return runNginx(program, func(dir, addr string) string {
		return fmt.Sprintf(staticConfig, user, dir, addr, root)
	})
}

// runNginx starts nginx with a folder of its own at a free address and waits
// until it listens.
func runNginx(program string, config func(dir, addr string) string) (*nginx, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // finds a free port
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	ln.Close()
	dir, err := os.MkdirTemp("", "bench-nginx-")
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	n := &nginx{dir: dir, addr: addr}
	if err := os.WriteFile(conf, []byte(config(dir, addr)), 0o600); err != nil {
		n.Close()
		return nil, err
	}
	n.cmd = exec.Command(program, "-c", conf, "-p", dir, "-e", "stderr")
	n.cmd.Stderr = os.Stderr
	if err := n.cmd.Start(); err != nil {
		n.cmd = nil
		n.Close()
		return nil, err
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return n, nil
		}
		if time.Now().After(end) {
			n.Close()
			return nil, fmt.Errorf("nginx does not listen: %w", err)
		}
	}
}

// PID implements subject.
func (n *nginx) PID() int { return n.cmd.Process.Pid }

// Addrs implements subject.
func (n *nginx) Addrs() (map[string]string, error) {
	return map[string]string{crowd.RTMP: n.addr}, nil
}

// Close implements subject.
func (n *nginx) Close() error {
	defer os.RemoveAll(n.dir)
	if n.cmd == nil {
		return nil
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("nginx: %w", err)
	}
	kill := time.AfterFunc(10*time.Second, func() { n.cmd.Process.Kill() })
	defer kill.Stop()
	return n.cmd.Wait()
}

// nginxVersion returns what nginx says it is.
func nginxVersion() string {
	program, _, err := findNginx()
	if err != nil {
		return ""
	}
	out, err := exec.Command(program, "-v").CombinedOutput()
	if err != nil {
		return ""
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), ": ")
	return version
}
