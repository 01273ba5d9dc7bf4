package statistics

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// routes serves what there is; anything else is 404, and other methods 405.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metricsHandler())
	mux.Handle("GET /{$}", s.page())
	mux.HandleFunc("GET /data.json", s.data)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// data answers with the state and the points from ?since=N on, where N is "next"
// of the former answer and ?boot= what it had as boot; otherwise with all points.
func (s *Server) data(w http.ResponseWriter, r *http.Request) {
	q, first := r.URL.Query(), 0
	if q.Get("boot") == strconv.FormatInt(s.history.started.UnixMilli(), 10) {
		first, _ = strconv.Atoi(q.Get("since")) // 0 is all
	}
	w.Header().Set("Content-Type", "application/json")
	// A failed write is a client that left.
	_ = json.NewEncoder(w).Encode(s.state(first))
}
