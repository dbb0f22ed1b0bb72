package edge

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/ops/health"
	"meridian/ops/metrics"
	"meridian/ops/profile"
)

// openHTTP builds the node's HTTP: open to everybody are health, status and
// metrics; what shows or changes subscribers' data needs an operator's token.
func (n *Node) openHTTP() error {
	mux := http.NewServeMux()
	checks, err := health.New(2*time.Second, n.logger,
		health.Check{Name: "leader", Run: n.hasLeader}, health.Check{Name: "disk", Run: n.diskTakesWrites},
		health.Check{Name: "heads", Run: func(context.Context) error { return n.partedFrom() }})
	if err != nil {
		return err
	}
	checks.Register(mux)
	if err := profile.Register(mux, n.cfg.DebugTokenHash); err != nil {
		return err
	}
	if n.cfg.Registry != nil {
		if err := n.exportMetrics(); err != nil {
			return err
		}
		mux.Handle("GET /metrics", metrics.Handler(n.cfg.Registry, func(err error) { n.logger.Warn("metrics", "error", err) }))
	}
	if n.page, err = page(); err != nil {
		return fmt.Errorf("edge: status page: %w", err)
	}
	mux.HandleFunc("GET /status", n.getStatus)
	mux.HandleFunc("POST /v1/audit", n.guard(writes, n.postAudit))
	mux.HandleFunc("GET /v1/audit", n.guard(reads, n.getAudit))
	mux.HandleFunc("POST /v1/cut", n.guard(writes, n.postCut))
	mux.HandleFunc("POST /v1/events", n.guard(writes, n.postEvent))
	mux.HandleFunc("GET /v1/members", n.guard(reads, n.getMembers))
	mux.HandleFunc("POST /v1/members", n.guard(administers, n.postMember))
	mux.HandleFunc("DELETE /v1/members/{id}", n.guard(administers, n.deleteMember))
	mux.HandleFunc("POST /v1/transfer", n.guard(administers, n.postTransfer))
	mux.HandleFunc("POST /v1/confirm-time", n.guard(administers, n.postConfirmTime))
	mux.HandleFunc("GET /v1/keys", n.guard(reads, n.getKeys))
	mux.HandleFunc("POST /v1/keys/reload", n.guard(administers, n.postReloadKeys))
	mux.HandleFunc("POST /v1/keys/rotate", n.guard(administers, n.postRotateKey))
	mux.HandleFunc("GET /v1/policy", n.guard(reads, n.getPolicy))
	mux.HandleFunc("PUT /v1/policy", n.guard(administers, n.putPolicy))
	mux.HandleFunc("GET /v1/accounts/{id}", n.guard(reads, n.getAccount))
	mux.HandleFunc("GET /v1/subscriptions/{id}", n.guard(reads, n.getSubscription))
	n.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
		ErrorLog: slog.NewLogLogger(n.logger.Handler(), slog.LevelWarn)}
	if n.apiCert, err = openAPICertificate(n.cfg.HTTPCertFile, n.cfg.HTTPKeyFile); err != nil {
		return err
	}
	if n.apiCert != nil {
		n.http.TLSConfig = &tls.Config{GetCertificate: n.apiCert.get, MinVersion: tls.VersionTLS12}
	}
	n.httpLis, err = net.Listen("tcp", n.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("edge: listen for http: %w", err)
	}
	return nil
}

// serveHTTP serves until the server is closed.
func (n *Node) serveHTTP() error {
	if n.http.TLSConfig != nil {
		return n.http.ServeTLS(n.httpLis, "", "")
	}
	return n.http.Serve(n.httpLis)
}

func (n *Node) hasLeader(context.Context) error {
	heard := n.store.LeaderHeard()
	if silent := time.Since(heard); silent > n.cfg.StaleAfter {
		since := "for " + silent.Round(time.Second).String()
		if heard.IsZero() {
			since = "since this node started"
		}
		return fmt.Errorf("no leader was heard %s: a majority of the region's nodes must be up", since)
	}
	return nil
}

// httpError is the body of every refusal.
type httpError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

func (n *Node) refuse(w http.ResponseWriter, status int, e httpError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(e); err != nil {
		n.logger.Debug("answer was not delivered", "error", err)
	}
}

func (n *Node) answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		n.logger.Debug("answer was not delivered", "error", err)
	}
}

// act is what a call does, by who may do it.
type act uint8

const (
	reads       act = iota // every role
	writes                 // operator and admin
	administers            // admin: the region's members, policy and keys
)

// guard lets operators in by bearer token, for what their role may do.
func (n *Node) guard(what act, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || token == "" {
			n.refuse(w, http.StatusUnauthorized, httpError{"unauthorized", "no bearer token", "send Authorization: Bearer with an operator's token"})
			return
		}
		hash := sha256.Sum256([]byte(token))
		var caller feed.Operator
		n.store.View(func(s *fsm.State) { caller, _ = s.Operator(hash[:]) })
		role := caller.Role
		switch {
		case role == "":
			n.refuse(w, http.StatusUnauthorized, httpError{"unauthorized", "the token is not known in this region", "ask the centre for an operator's token; a new one reaches the region by the feed"})
		case what == administers && role != "admin":
			n.refuse(w, http.StatusForbidden, httpError{"forbidden", "role " + role + " may not change the region's members, policy or keys", "use a token of role admin"})
		case what == writes && role != "admin" && role != "operator":
			n.refuse(w, http.StatusForbidden, httpError{"forbidden", "role " + role + " may only read", "use a token of role operator or admin"})
		default:
			next(w, calledBy(r, caller))
		}
	}
}

func (n *Node) postAudit(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	asked, err := n.store.Audit(ctx)
	n.audit(r, err)
	if err != nil {
		n.refuse(w, http.StatusServiceUnavailable, httpError{"unavailable", err.Error(), "try again when the region has a leader"})
		return
	}
	n.answer(w, Audited{AskedBy: asked.Node, AskedAt: asked.At})
}

// Audited names an audit: the report of a node that has come to it says the same.
// Until then the node gives the one before.
type Audited struct {
	AskedBy string
	AskedAt int64
}

func (n *Node) getAudit(w http.ResponseWriter, _ *http.Request) {
	report, err := n.store.LastAudit()
	if err != nil {
		n.refuse(w, http.StatusConflict, httpError{"no_audit", err.Error(), "POST /v1/audit on any node, then ask again"})
		return
	}
	report.Heads = n.heads.book.UpTo(report.Index)
	n.answer(w, report)
}

func (n *Node) postCut(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	_, err := n.store.Do(ctx, &command.CutAll{Meta: n.meta(), Limit: n.cfg.CutPerTick})
	n.audit(r, err, "limit", n.cfg.CutPerTick)
	if err != nil {
		n.refuse(w, http.StatusServiceUnavailable, httpError{"unavailable", err.Error(), "try again when the region has a leader"})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (n *Node) getAccount(w http.ResponseWriter, r *http.Request) {
	var view []fsm.AccountView
	n.store.View(func(s *fsm.State) { view = s.Account(r.PathValue("id")) })
	if view == nil {
		n.refuse(w, http.StatusNotFound, httpError{"not_found", "this region has no bucket of account " + r.PathValue("id"), "ask the account's home region"})
		return
	}
	n.answer(w, view)
}

func (n *Node) getSubscription(w http.ResponseWriter, r *http.Request) {
	var view fsm.SubscriptionView
	err := errors.New("not served here")
	n.store.View(func(s *fsm.State) {
		if v, ok := s.Subscription(r.PathValue("id")); ok {
			view, err = v, nil
		}
	})
	if err != nil {
		n.refuse(w, http.StatusNotFound, httpError{"not_found", "this region does not serve subscription " + r.PathValue("id"), "ask the subscription's home region"})
		return
	}
	n.answer(w, view)
}
