package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// A chromium is a running browser, driven by the DevTools protocol.
type chromium struct {
	t    testing.TB
	conn *websocket.Conn

	mu      sync.Mutex // guards what follows
	last    int
	waiting map[int]chan devtoolsMessage // calls by id
	tabs    map[string]*tab              // by session
	err     error                        // why the connection ended
}

// A devtoolsMessage is an answer to a call, or an event.
type devtoolsMessage struct {
	ID        int             `json:"id"`
	SessionID string          `json:"sessionId"`
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// startChromium runs a browser that reaches this machine only.
func startChromium(t testing.TB) *chromium {
	t.Helper()
	// The profile is removed with the run's clips: Chromium may still write when
	// it has been told to go.
	profile, err := os.MkdirTemp(clips.dir, "chromium")
	require.NoError(t, err)
	cmd := exec.Command(find(t, "chromium"),
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--autoplay-policy=no-user-gesture-required", "--user-data-dir="+profile, "--remote-debugging-port=0", "about:blank")
	ownGroup(cmd)
	startCmd(t, cmd)
	t.Cleanup(func() { killGroup(cmd) })

	var port, path string
	eventually(t, func() bool {
		b, err := os.ReadFile(filepath.Join(profile, "DevToolsActivePort"))
		var ok bool
		port, path, ok = strings.Cut(strings.TrimSpace(string(b)), "\n")
		return err == nil && ok
	}, "Chromium listens")
	conn, _, err := websocket.Dial(t.Context(), "ws://127.0.0.1:"+port+path, nil)
	require.NoError(t, err)
	conn.SetReadLimit(-1)
	c := &chromium{t: t, conn: conn, waiting: map[int]chan devtoolsMessage{}, tabs: map[string]*tab{}}
	var reading sync.WaitGroup
	reading.Go(c.read)
	t.Cleanup(func() {
		conn.CloseNow()
		reading.Wait()
	})
	return c
}

// read hands out what Chromium says until the connection ends.
func (c *chromium) read() {
	for {
		_, b, err := c.conn.Read(context.Background())
		var m devtoolsMessage
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		c.mu.Lock()
		switch {
		case err != nil:
			c.err = err
			for id, ch := range c.waiting {
				close(ch)
				delete(c.waiting, id)
			}
			c.mu.Unlock()
			return
		case m.ID != 0 && c.waiting[m.ID] != nil:
			c.waiting[m.ID] <- m
			delete(c.waiting, m.ID)
		case c.tabs[m.SessionID] != nil:
			c.tabs[m.SessionID].happened(m)
		}
		c.mu.Unlock()
	}
}

// call asks Chromium for something and decodes its answer into result, if that
// is not nil.
func (c *chromium) call(session, method string, params map[string]any, result any) {
	c.t.Helper()
	ch := make(chan devtoolsMessage, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = ch
	err := c.err
	c.mu.Unlock()
	require.NoError(c.t, err)
	b, err := json.Marshal(map[string]any{"id": id, "sessionId": session, "method": method, "params": params})
	require.NoError(c.t, err)
	if session == "" {
		b, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params})
		require.NoError(c.t, err)
	}
	require.NoError(c.t, c.conn.Write(c.t.Context(), websocket.MessageText, b))
	select {
	case m, ok := <-ch:
		require.True(c.t, ok, "%s: Chromium has gone", method)
		require.Nil(c.t, m.Error, "%s: %+v", method, m.Error)
		if result != nil {
			require.NoError(c.t, json.Unmarshal(m.Result, result))
		}
	case <-time.After(patience):
		c.t.Fatalf("%s: no answer", method)
	}
}

// A tab shows one page. It shares nothing with other tabs: connections, cookies
// and storage are its own.
type tab struct {
	browser *chromium
	session string
	log     []string // errors that the browser reported; guarded by the browser's lock
}

// open shows url in a new tab. Script runs in the page before anything else.
func (c *chromium) open(url, script string) *tab {
	c.t.Helper()
	var apart struct{ BrowserContextID string }
	c.call("", "Target.createBrowserContext", nil, &apart)
	var target struct{ TargetID string }
	c.call("", "Target.createTarget", map[string]any{
		"url": "about:blank", "browserContextId": apart.BrowserContextID, "newWindow": true, "width": 640, "height": 480,
	}, &target)
	var attached struct{ SessionID string }
	c.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	tb := &tab{browser: c, session: attached.SessionID}
	c.mu.Lock()
	c.tabs[tb.session] = tb
	c.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		c.call(tb.session, domain+".enable", nil, nil)
	}
	c.call(tb.session, "Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": script}, nil)
	c.call(tb.session, "Page.navigate", map[string]any{"url": url}, nil)
	return tb
}

// happened keeps the errors among the events. The browser's lock is held.
func (tb *tab) happened(m devtoolsMessage) {
	switch m.Method {
	case "Runtime.exceptionThrown":
		tb.log = append(tb.log, string(m.Params))
	case "Log.entryAdded":
		var e struct {
			Entry struct{ Level, Text, URL string }
		}
		if json.Unmarshal(m.Params, &e) == nil && e.Entry.Level == "error" {
			tb.log = append(tb.log, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// errors returns what the browser has reported so far: exceptions, violations of
// the page's policy, failed requests.
func (tb *tab) errors() []string {
	tb.browser.mu.Lock()
	defer tb.browser.mu.Unlock()
	return append([]string(nil), tb.log...)
}

// eval runs an expression in the page and decodes its value, which may be a
// promise's, into result.
func (tb *tab) eval(expression string, result any) {
	tb.browser.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	tb.browser.call(tb.session, "Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true,
	}, &answer)
	require.Empty(tb.browser.t, string(answer.ExceptionDetails), expression)
	if result != nil {
		require.NoError(tb.browser.t, json.Unmarshal(answer.Result.Value, result), expression)
	}
}

// text returns the text of the first element that a selector finds.
func (tb *tab) text(selector string) string {
	tb.browser.t.Helper()
	var s string
	tb.eval(fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector), &s)
	return s
}

// press presses a key, such as "a" or "Enter".
func (tb *tab) press(key string) {
	tb.browser.t.Helper()
	event := map[string]any{"type": "keyDown", "key": key}
	switch key {
	case "Tab":
		event["windowsVirtualKeyCode"] = 9
	case "Enter":
		event["windowsVirtualKeyCode"], event["text"] = 13, "\r"
	default:
		event["text"] = key
	}
	tb.browser.call(tb.session, "Input.dispatchKeyEvent", event, nil)
	event["type"] = "keyUp"
	delete(event, "text")
	tb.browser.call(tb.session, "Input.dispatchKeyEvent", event, nil)
}

// screenshot writes a picture of the page as it is seen to a PNG file.
func (tb *tab) screenshot(path string, width, height int, scheme string) {
	tb.browser.t.Helper()
	tb.browser.call(tb.session, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
	}, nil)
	tb.browser.call(tb.session, "Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]any{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
	var shot struct{ Data string }
	tb.browser.call(tb.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	require.NoError(tb.browser.t, err)
	require.NoError(tb.browser.t, os.WriteFile(path, b, 0o644))
}
