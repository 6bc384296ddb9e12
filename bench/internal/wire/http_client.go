package wire

import (
	"bytes"
	"fmt"
	"net"
	"strings"
)

// PlayHTTP asks for a stream by HTTP, which scanner then takes. It has already
// taken what came with the response header.
func PlayHTTP(conn net.Conn, path string, scanner Scanner) (Scanner, error) {
	return playHTTP(conn, path, "", 200, scanner)
}

// PlayWS asks for a stream by WebSocket.
func PlayWS(conn net.Conn, path string, scanner Scanner) (Scanner, error) {
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: bWVkaWFraXQtYmVuY2gtMQ==\r\n"
	return playHTTP(conn, path, upgrade, 101, NewWSScanner(scanner))
}

// playHTTP sends a GET request, reads the header of the response and gives s the rest.
func playHTTP(conn net.Conn, path, extra string, want int, s Scanner) (Scanner, error) {
	request := "GET " + path + " HTTP/1.1\r\nHost: " + conn.RemoteAddr().String() + "\r\n" + extra + "\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return nil, fmt.Errorf("wire: GET %s: %w", path, err)
	}
	header := make([]byte, 0, 4096)
	for {
		if len(header) == cap(header) {
			return nil, fmt.Errorf("wire: GET %s: response header of more than %d bytes", path, len(header))
		}
		n, err := conn.Read(header[len(header):cap(header)])
		if err != nil {
			return nil, fmt.Errorf("wire: GET %s: %w", path, err)
		}
		header = header[:len(header)+n]
		end := bytes.Index(header, []byte("\r\n\r\n"))
		if end < 0 {
			continue
		}
		var status int
		if _, err := fmt.Sscanf(string(header), "HTTP/1.1 %d", &status); err != nil || status != want {
			line, _, _ := strings.Cut(string(header), "\r\n")
			return nil, fmt.Errorf("wire: GET %s: %s", path, line)
		}
		if strings.Contains(strings.ToLower(string(header[:end])), "transfer-encoding") {
			return nil, fmt.Errorf("wire: GET %s: the response is chunked", path)
		}
		return s, s.Scan(header[end+4:])
	}
}
