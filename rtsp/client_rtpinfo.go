package rtsp

import (
	"strconv"
	"strings"
	"time"
)

// A rtpInfo is what the answer to PLAY says of the packets of a media (RFC 2326,
// 12.33).
type rtpInfo struct {
	url       string // as the server wrote it
	timestamp uint32 // of the time at which playing begins
	known     bool   // there is a timestamp
	sequence  uint16 // of the first packet
	numbered  bool   // there is a sequence
}

// parseRTPInfo decodes a RTP-Info header. URLs may have commas and semicolons.
func parseRTPInfo(value string) []rtpInfo {
	var all []rtpInfo
	for one := range strings.SplitSeq(value, ",") {
		one = strings.TrimSpace(one)
		if len(one) >= 4 && strings.EqualFold(one[:4], "url=") || len(all) == 0 {
			if len(all) == maxMedias {
				break
			}
			all = append(all, rtpInfo{})
		}
		info := &all[len(all)-1]
		for param := range strings.SplitSeq(one, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "url":
				info.url = value
			case "seq":
				n, err := strconv.ParseUint(value, 10, 16)
				info.sequence, info.numbered = uint16(n), err == nil
			case "rtptime":
				n, err := strconv.ParseUint(value, 10, 32)
				info.timestamp, info.known = uint32(n), err == nil
			}
		}
	}
	return all
}

// infoOf returns what infos say of the ith of n medias, which was set up by url:
// they are found by their URLs, or else in their order.
func infoOf(infos []rtpInfo, i, n int, url string) rtpInfo {
	for _, info := range infos {
		if info.url == url || info.url != "" && strings.HasSuffix(url, "/"+info.url) {
			return info
		}
	}
	if len(infos) == n {
		return infos[i]
	}
	return rtpInfo{}
}

// rangeStart returns where playing begins as a Range header tells (RFC 2326,
// 12.29); 0 for live streams.
func rangeStart(value string) time.Duration {
	unit, value, _ := strings.Cut(value, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "npt") {
		return 0
	}
	from, _, _ := strings.Cut(value, "-")
	at, _ := parseNPT(from)
	return at
}
