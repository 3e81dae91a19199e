package serve

import "github.com/millstream-dev/millstream/internal/dashboard"

func (s *Server) dashboardRoutes() {
	pages := dashboard.Handler(s.missing)
	for _, pattern := range dashboard.Routes {
		s.router.HandleFunc(pattern, pages.ServeHTTP)
	}
}
