package wire

import "net/http"

// The status codes that RTSP adds to HTTP's (section 11).
const (
	StatusLowOnStorageSpace             = 250
	StatusParameterNotUnderstood        = 451
	StatusConferenceNotFound            = 452
	StatusNotEnoughBandwidth            = 453
	StatusSessionNotFound               = 454
	StatusMethodNotValidInThisState     = 455
	StatusHeaderFieldNotValid           = 456
	StatusInvalidRange                  = 457
	StatusParameterIsReadOnly           = 458
	StatusAggregateOperationNotAllowed  = 459
	StatusOnlyAggregateOperationAllowed = 460
	StatusUnsupportedTransport          = 461
	StatusDestinationUnreachable        = 462
	StatusVersionNotSupported           = 505
	StatusOptionNotSupported            = 551
)

// StatusText returns the reason phrase of a status code, "" if it has none.
func StatusText(status int) string {
	switch status {
	case StatusLowOnStorageSpace:
		return "Low on Storage Space"
	case StatusParameterNotUnderstood:
		return "Parameter Not Understood"
	case StatusConferenceNotFound:
		return "Conference Not Found"
	case StatusNotEnoughBandwidth:
		return "Not Enough Bandwidth"
	case StatusSessionNotFound:
		return "Session Not Found"
	case StatusMethodNotValidInThisState:
		return "Method Not Valid in This State"
	case StatusHeaderFieldNotValid:
		return "Header Field Not Valid for Resource"
	case StatusInvalidRange:
		return "Invalid Range"
	case StatusParameterIsReadOnly:
		return "Parameter Is Read-Only"
	case StatusAggregateOperationNotAllowed:
		return "Aggregate Operation Not Allowed"
	case StatusOnlyAggregateOperationAllowed:
		return "Only Aggregate Operation Allowed"
	case StatusUnsupportedTransport:
		return "Unsupported Transport"
	case StatusDestinationUnreachable:
		return "Destination Unreachable"
	case StatusVersionNotSupported:
		return "RTSP Version Not Supported"
	case StatusOptionNotSupported:
		return "Option Not Supported"
	}
	return http.StatusText(status)
}
