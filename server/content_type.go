package server

import (
	"mime"
	"path"
	"strings"
)

// contentTypes are the types that do not depend on the machine: media, and what
// a page needs to play it.
var contentTypes = map[string]string{
	".m3u8": "application/vnd.apple.mpegurl",
	".m3u":  "audio/mpegurl",
	".mpd":  "application/dash+xml",
	".ts":   "video/mp2t",
	".m2ts": "video/mp2t",
	".mts":  "video/mp2t",
	".m4s":  "video/iso.segment",
	".cmfv": "video/mp4",
	".cmfa": "audio/mp4",
	".cmft": "application/mp4",
	".mp4":  "video/mp4",
	".m4v":  "video/mp4",
	".m4a":  "audio/mp4",
	".flv":  "video/x-flv",
	".f4v":  "video/mp4",
	".mkv":  "video/matroska",
	".mka":  "audio/matroska",
	".webm": "video/webm",
	".mov":  "video/quicktime",
	".avi":  "video/x-msvideo",
	".wmv":  "video/x-ms-wmv",
	".3gp":  "video/3gpp",
	".mpg":  "video/mpeg",
	".mpeg": "video/mpeg",
	".vob":  "video/mpeg",
	".ps":   "video/mp2p",
	".h264": "video/h264",
	".264":  "video/h264",
	".h265": "video/h265",
	".265":  "video/h265",
	".hevc": "video/h265",
	".ogv":  "video/ogg",
	".aac":  "audio/aac",
	".mp3":  "audio/mpeg",
	".mp2":  "audio/mpeg",
	".ac3":  "audio/ac3",
	".eac3": "audio/eac3",
	".amr":  "audio/amr",
	".flac": "audio/flac",
	".oga":  "audio/ogg",
	".ogg":  "audio/ogg",
	".opus": "audio/ogg",
	".wav":  "audio/wav",
	".weba": "audio/webm",
	".vtt":  "text/vtt; charset=utf-8",
	".srt":  "application/x-subrip",
	".sdp":  "application/sdp",
	".jpg":  "image/jpeg",
	".jpeg": "image/jpeg",
	".png":  "image/png",
	".gif":  "image/gif",
	".webp": "image/webp",
	".avif": "image/avif",
	".svg":  "image/svg+xml",
	".ico":  "image/x-icon",
	".html": "text/html; charset=utf-8",
	".htm":  "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
	".json": "application/json",
	".map":  "application/json",
	".wasm": "application/wasm",
	".xml":  "text/xml; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",
	".log":  "text/plain; charset=utf-8",
	".md":   "text/markdown; charset=utf-8",
	".csv":  "text/csv; charset=utf-8",
	".pdf":  "application/pdf",
	".zip":  "application/zip",
	".gz":   "application/gzip",
	".tar":  "application/x-tar",
}

// contentType returns the media type of a file by its name. Nobody guesses from
// what is in there: a browser is told not to.
func contentType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t, ok := contentTypes[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "text/plain; charset=utf-8"
}

// changes reports whether a file of a media type is written again and again: it
// must not be taken from a cache without asking.
func changes(contentType string) bool {
	switch contentType {
	case "application/vnd.apple.mpegurl", "audio/mpegurl", "application/dash+xml":
		return true
	}
	return false
}
