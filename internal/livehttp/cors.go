package livehttp

import "net/http"

// methods are what a live output answers to.
const methods = "GET, HEAD, OPTIONS"

// AllowOrigin lets a page of another origin read the answer: its origin is
// echoed, with credentials, unless allow says no. It reports what allow said.
func AllowOrigin(h http.Header, r *http.Request, allow func(origin string) bool) bool {
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if allow != nil && !allow(origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	return true
}

// Preflight answers OPTIONS, after AllowOrigin.
func Preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", methods)
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", methods)
		if want := r.Header.Get("Access-Control-Request-Headers"); want != "" {
			h.Set("Access-Control-Allow-Headers", want)
		}
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// RefuseMethod answers a request with another method than those.
func RefuseMethod(w http.ResponseWriter) {
	w.Header().Set("Allow", methods)
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}
