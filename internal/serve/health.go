package serve

import (
	"context"
	"sync"
)

// Check is how one part stands.
type Check struct {
	Part   string `json:"part" doc:"postgresql, kafka, engine, last commit, …" example:"kafka"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty" doc:"Why not, or what is worth knowing."`
}

// health is the body of /health and /readyz.
type health struct {
	Status string  `json:"status" enum:"healthy,unhealthy"`
	Checks []Check `json:"checks"`
}

func (h *health) ok() bool { return h.Status == "healthy" }

// check asks PostgreSQL and the configured checks, at the same time.
func (s *Server) check(ctx context.Context) *health {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	var rest []Check
	var wg sync.WaitGroup
	if s.config.Health != nil {
		wg.Go(func() { rest = s.config.Health(ctx) })
	}
	database := Check{Part: "postgresql", OK: true}
	if err := s.config.Pool.Ping(ctx); err != nil {
		database = Check{Part: "postgresql", Reason: "no answer: " + err.Error()}
	}
	wg.Wait()
	h := &health{Status: "healthy", Checks: append([]Check{database}, rest...)}
	if s.stopping.Load() {
		h.Checks = append(h.Checks, Check{Part: "server", Reason: "it is stopping"})
	}
	for _, c := range h.Checks {
		if !c.OK {
			h.Status = "unhealthy"
		}
	}
	return h
}
