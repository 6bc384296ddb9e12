package wire

import (
	"fmt"
	"net"
	"strings"
)

// rtspClient is the state of an RTSP connection until the stream flows.
type rtspClient struct {
	conn    net.Conn
	scanner *RTSPScanner
	url     string // of the stream
	session string
	cseq    int
	playing bool       // PLAY was sent: what is answered from now on has to be good
	answers []response // that came and were not looked at yet
}

func newRTSPClient(conn net.Conn, path string) *rtspClient {
	c := &rtspClient{conn: conn, url: "rtsp://" + conn.RemoteAddr().String() + path}
	c.scanner = newRTSPScanner(c.response)
	return c
}

// PlayRTSP asks for a stream. The scanner it returns goes on with what comes on
// the connection after the PLAY request was sent: the stream itself if listen is
// nil, else the answer only. A viewer by UDP listens: the function is called for
// each track and returns the port at which its RTP packets are awaited; RTCP
// goes to the next one.
func PlayRTSP(conn net.Conn, path string, listen func(*RTPTrack) (port int, err error), onMessage func(Message)) (Scanner, error) {
	c := newRTSPClient(conn, path)
	r, err := c.do("DESCRIBE", c.url, "Accept: application/sdp\r\n", "")
	if err != nil {
		return nil, err
	}
	base := r.header.Get("Content-Base")
	if base == "" {
		base = c.url
	}
	sections := parseSDP(r.body)
	if len(sections) == 0 {
		return nil, fmt.Errorf("wire: DESCRIBE: no media in %q", r.body)
	}
	for i, m := range sections {
		t := NewRTPTrack(m.typ, onMessage)
		if err := c.setup(controlURL(base, m.control), i, t, listen); err != nil {
			return nil, err
		}
	}
	c.playing = true
	if err := c.send("PLAY", strings.TrimSuffix(base, "/"), "Range: npt=0.000-\r\n", ""); err != nil {
		return nil, err
	}
	return c.scanner, nil
}

// setup sets the track i up.
func (c *rtspClient) setup(url string, i int, t *RTPTrack, listen func(*RTPTrack) (int, error)) error {
	if listen != nil {
		port, err := listen(t)
		if err != nil {
			return err
		}
		_, err = c.do("SETUP", url, fmt.Sprintf("Transport: RTP/AVP;unicast;client_port=%d-%d\r\n", port, port+1), "")
		return err
	}
	r, err := c.do("SETUP", url, fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d\r\n", 2*i, 2*i+1), "")
	if err != nil {
		return err
	}
	transport := r.header.Get("Transport")
	_, channels, _ := strings.Cut(transport, "interleaved=")
	var channel byte
	if _, err := fmt.Sscanf(channels, "%d-", &channel); err != nil {
		return fmt.Errorf("wire: SETUP: Transport: %s", transport)
	}
	c.scanner.tracks[channel] = t
	return nil
}

// do sends a request and waits for its answer, which has to be good.
func (c *rtspClient) do(method, url, header, body string) (response, error) {
	if err := c.send(method, url, header, body); err != nil {
		return response{}, err
	}
	for buf := make([]byte, 4096); len(c.answers) == 0; {
		n, err := c.conn.Read(buf)
		if err == nil {
			err = c.scanner.Scan(buf[:n])
		}
		if err != nil {
			return response{}, fmt.Errorf("wire: %s: %w", method, err)
		}
	}
	r := c.answers[0]
	c.answers = c.answers[1:]
	if r.status != 200 {
		return r, fmt.Errorf("wire: %s: status %d", method, r.status)
	}
	if s, _, _ := strings.Cut(r.header.Get("Session"), ";"); s != "" {
		c.session = s
	}
	return r, nil
}

// send sends a request. header is empty or lines with their ends.
func (c *rtspClient) send(method, url, header, body string) error {
	c.cseq++
	header = fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n%s", method, url, c.cseq, header)
	if c.session != "" {
		header += "Session: " + c.session + "\r\n"
	}
	if body != "" {
		header += fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n", len(body))
	}
	if _, err := c.conn.Write([]byte(header + "\r\n" + body)); err != nil {
		return fmt.Errorf("wire: %s: %w", method, err)
	}
	return nil
}

// response takes what the scanner finds.
func (c *rtspClient) response(r response) error {
	if !c.playing {
		c.answers = append(c.answers, r)
	} else if r.status != 200 {
		return fmt.Errorf("wire: PLAY: status %d", r.status)
	}
	return nil
}

// A section is what an SDP says of a track, as far as it matters here.
type section struct {
	typ     byte
	control string
}

// parseSDP returns the video and audio tracks of an SDP (RFC 8866, 5.14).
func parseSDP(sdp string) (all []section) {
	var current *section
	for line := range strings.Lines(sdp) {
		line = strings.TrimRight(line, "\r\n")
		if kind, ok := strings.CutPrefix(line, "m="); ok {
			current = nil
			if typ := mediaType(kind); typ != 0 {
				all = append(all, section{typ: typ})
				current = &all[len(all)-1]
			}
		} else if control, ok := strings.CutPrefix(line, "a=control:"); ok && current != nil {
			current.control = control
		}
	}
	return all
}

// mediaType returns the type of messages of an m= line, or 0 for what is not played.
func mediaType(m string) byte {
	switch {
	case strings.HasPrefix(m, "video "):
		return typeVideo
	case strings.HasPrefix(m, "audio "):
		return typeAudio
	}
	return 0
}

// controlURL returns what a track's control attribute means (RFC 2326, C.1.1).
func controlURL(base, control string) string {
	if strings.Contains(control, "://") {
		return control
	}
	return strings.TrimSuffix(base, "/") + "/" + control
}
