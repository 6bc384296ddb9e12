package crowd

import "time"

// The protocols viewers speak. The plain ones are those of the floor.
const (
	RTMP        = "rtmp"
	FLV         = "flv"
	WS          = "ws" // FLV
	TS          = "ts" // by HTTP
	WSTS        = "ws-ts"
	FMP4        = "fmp4" // by HTTP
	WSFMP4      = "ws-fmp4"
	HLS         = "hls"  // is measured by other means than a crowd
	RTSP        = "rtsp" // by TCP
	RTSPUDP     = "rtsp-udp"
	Plain       = "plain"        // FLV tags without any request
	PlainUDP    = "plain-udp"    // RTP packets with no more of a request than the ports
	PlainSendto = "plain-sendto" // the same from a sender who does without offload
)

// A Target says where viewers go.
type Target struct {
	Protocol string
	Addr     string        // host:port
	App      string        // of the stream's name
	Stream   string        // its second part
	Usual    time.Duration // longest usual gap between arrivals of video
}

// A Report is what happened between Begin and End.
type Report struct {
	Viewers int
	Gone    int           // whose connection ended
	Time    time.Duration // between Begin and End
	CPU     time.Duration // the server used
	Bytes   uint64        // all viewers got; by UDP, in RTP packets
	Least   uint64        // the bytes of the viewer who got the fewest
	Behind  int           // viewers who got fewer than Begin's expectation
	Lost    int           // datagrams that did not come to viewers by UDP

	Probes     int
	NoKey      int           // probes that saw no key frame since they joined
	Missed     int           // video frames that probes did not get
	Stalls     int           // of the probes
	LatencyP50 time.Duration // from the publisher's write to the complete frame
	LatencyP99 time.Duration
	LatencyMax time.Duration
	JoinP50    time.Duration // from connecting to the complete first key frame
	JoinP99    time.Duration
}

// Joins are the times that viewers who came one after the other waited for
// their first key frame.
type Joins struct {
	ConnectP50, ConnectP99 time.Duration // from connecting
	AskedP50, AskedP99     time.Duration // from the play command or the request, without those before it
}
