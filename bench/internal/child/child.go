// Package child runs parts of a program as processes of their own: the program
// starts itself again under another sub-command and calls functions there, with
// JSON over stdin and stdout.
package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// A Child is a running process.
type Child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	name string
}

// request and response are one line each.
type request struct {
	Method string
	Args   json.RawMessage
}

type response struct {
	Error  string          `json:",omitempty"`
	Result json.RawMessage `json:",omitempty"`
}

// Start starts this program with args, the first of which is the sub-command.
func Start(args ...string) (*Child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	return &Child{cmd, in, bufio.NewReader(out), args[0]}, nil
}

// PID returns the process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Call calls a function of the child and waits for its result; args and result
// may be nil. One call at a time.
func (c *Child) Call(method string, args, result any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("child: %s: %w", method, err)
	}
	line, _ := json.Marshal(request{method, raw})
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("child: %s %s: %w", c.name, method, err)
	}
	line, err = c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("child: %s %s: the process ended: %w", c.name, method, err)
	}
	var r response
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("child: %s %s: %w", c.name, method, err)
	}
	if r.Error != "" {
		return fmt.Errorf("child: %s %s: %s", c.name, method, r.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(r.Result, result)
}

// Close lets the process end by closing its stdin, kills it if it has not done
// so in ten seconds, and waits for it.
func (c *Child) Close() error {
	c.in.Close()
	kill := time.AfterFunc(10*time.Second, func() { c.cmd.Process.Kill() })
	defer kill.Stop()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("child: %s: %w", c.name, err)
	}
	return nil
}

// Methods are the functions that can be called in a child.
type Methods map[string]func(args json.RawMessage) (any, error)

// Func makes a method of a function with typed arguments.
func Func[A, R any](fn func(A) (R, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var args A
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, err
		}
		return fn(args)
	}
}

// Serve answers calls from r on w until r ends.
func (m Methods) Serve(r io.Reader, w io.Writer) error {
	in := json.NewDecoder(r)
	out := json.NewEncoder(w)
	for {
		var req request
		if err := in.Decode(&req); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("child: %w", err)
		}
		if err := out.Encode(m.call(req)); err != nil {
			return fmt.Errorf("child: %w", err)
		}
	}
}

func (m Methods) call(req request) response {
	fn := m[req.Method]
	if fn == nil {
		return response{Error: "no method " + req.Method}
	}
	v, err := fn(req.Args)
	if err != nil {
		return response{Error: err.Error()}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return response{Error: err.Error()}
	}
	return response{Result: raw}
}
