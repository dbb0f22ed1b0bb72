// Package health answers whether a process lives and whether it can serve.
//
// It owns the two HTTP handlers and the way checks are run: side by side, each
// bounded. It does not know what is checked: a composition root names the
// checks and gives the functions.
//
//	/healthz  200 while the process runs: a supervisor restarts it otherwise
//	/readyz   200 when all checks pass, else 503: a balancer looks elsewhere
package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Check is one condition of serving.
type Check struct {
	Name string
	// Run returns nil if the condition holds, else an error for an operator to
	// read. It must return soon after ctx ends and may be called by several
	// goroutines at once.
	Run func(ctx context.Context) error
}

// Result is the outcome of one check, as in the JSON body.
type Result struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Status is the JSON body of /readyz.
type Status struct {
	Ready  bool     `json:"ready"`
	Checks []Result `json:"checks"`
}

// Health runs a fixed set of checks. Its methods may be called from several
// goroutines.
type Health struct {
	checks  []Check
	timeout time.Duration
	log     *slog.Logger
}

// New returns a Health that gives each check up to timeout. Every check needs a
// name of its own and a function.
func New(timeout time.Duration, log *slog.Logger, checks ...Check) (*Health, error) {
	var faults []error
	if timeout <= 0 {
		faults = append(faults, fmt.Errorf("health: timeout is %s: use more than zero", timeout))
	}
	seen := map[string]bool{}
	for i, c := range checks {
		if c.Name == "" || c.Run == nil {
			faults = append(faults, fmt.Errorf("health: check %d (%q) lacks a name or a function", i, c.Name))
		}
		if seen[c.Name] {
			faults = append(faults, fmt.Errorf("health: two checks are named %q: name them apart", c.Name))
		}
		seen[c.Name] = true
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Health{checks: append([]Check(nil), checks...), timeout: timeout, log: log}, nil
}

// Status runs all checks side by side and returns the results in their order.
// It returns when the last one has, which is soon after the timeout.
func (h *Health) Status(ctx context.Context) Status {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	status := Status{Ready: true, Checks: make([]Result, len(h.checks))}
	var wg sync.WaitGroup
	for i, c := range h.checks {
		wg.Go(func() {
			status.Checks[i] = Result{Name: c.Name, OK: true}
			if err := c.Run(ctx); err != nil {
				status.Checks[i] = Result{Name: c.Name, Error: err.Error()}
			}
		})
	}
	wg.Wait()
	for _, r := range status.Checks {
		status.Ready = status.Ready && r.OK
	}
	return status
}

// Live serves /healthz.
func (h *Health) Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.write(w, http.StatusOK, map[string]bool{"alive": true})
	})
}

// Ready serves /readyz.
func (h *Health) Ready() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := h.Status(r.Context())
		code := http.StatusOK
		if !status.Ready {
			code = http.StatusServiceUnavailable
		}
		h.write(w, code, status)
	})
}

// Register serves both under their usual paths.
func (h *Health) Register(mux *http.ServeMux) {
	mux.Handle("GET /healthz", h.Live())
	mux.Handle("GET /readyz", h.Ready())
}

func (h *Health) write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		h.log.Debug("health answer was not delivered", "error", err)
	}
}
