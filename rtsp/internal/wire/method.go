package wire

// The methods of RTSP (section 10), and those of HTTP that tunnels use.
const (
	MethodOptions      = "OPTIONS"
	MethodDescribe     = "DESCRIBE"
	MethodAnnounce     = "ANNOUNCE"
	MethodSetup        = "SETUP"
	MethodPlay         = "PLAY"
	MethodPause        = "PAUSE"
	MethodRecord       = "RECORD"
	MethodTeardown     = "TEARDOWN"
	MethodGetParameter = "GET_PARAMETER"
	MethodSetParameter = "SET_PARAMETER"
	MethodRedirect     = "REDIRECT"
	MethodGet          = "GET"
	MethodPost         = "POST"
)
