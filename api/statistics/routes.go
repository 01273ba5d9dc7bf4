package statistics

import "net/http"

// routes serves what there is; anything else is 404.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	return mux
}
