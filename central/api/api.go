// Package api is the centre's HTTP API, version 1: JSON in, JSON out.
//
// It owns authentication, roles, idempotency keys, the audit line of each change
// and the one error body. It decides nothing about the business: each handler
// turns a request into one call of a domain service, in one transaction with its
// audit line and its stored answer. Nothing internal reaches a client.
package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/central/approvals"
	"meridian/central/buckets"
	"meridian/central/catalog"
	"meridian/central/explain"
	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/ledger"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/regions"
	"meridian/central/rerating"
	"meridian/central/statement"
	"meridian/central/store"
	"meridian/central/usage"
)

// Limits of request bodies, in octets, and of requests at work at once.
const (
	MaxBody        = 64 << 10
	MaxCatalog     = 1 << 20
	MaxTable       = 4 << 20
	MaxSubscribers = 2 << 20
	MaxInFlight    = 128
	maxKey         = 128
	attempts       = 3 // at a write whose key another request is just storing
)

// Deps are what the API calls.
type Deps struct {
	Runner      store.Runner
	Access      *access.Service
	Accounts    *accounts.Service
	Approvals   *approvals.Service
	Catalog     *catalog.Service
	Explain     *explain.Service
	Orders      *orders.Service
	Payments    *payments.Service
	Registry    *regions.Registry
	Rerating    *rerating.Service
	Usage       *usage.Service
	Regions     *regions.Service
	Statement   *statement.Service
	AccountRows func(store.Tx) accounts.Store
	BucketRows  func(store.Tx) buckets.Store
	OrderRows   func(store.Tx) orders.Store
	LedgerRows  func(store.Tx) ledger.Store
	FeedRows    func(store.Tx) feed.Store
	Ready       func(ctx context.Context) error // nil when requests can be served
	Links       func() map[string]Link          // by region; nil where no link is served
	Log         *slog.Logger
}

// Stats counts requests by outcome.
type Stats struct {
	Requests, ClientFaults, ServerFaults, Replayed, Overload atomic.Uint64
}

// API is the handler of all routes.
type API struct {
	Deps
	stats    Stats
	mux      *http.ServeMux
	writes   []string
	inFlight chan struct{}
}

// New builds the API.
func New(d Deps) *API {
	a := &API{Deps: d, mux: http.NewServeMux(), inFlight: make(chan struct{}, MaxInFlight)}
	a.routes()
	return a
}

// Writes lists the paths, each of method POST, that change something.
func (a *API) Writes() []string { return slices.Clone(a.writes) }

// InFlight is how many requests are at work, at most MaxInFlight.
func (a *API) InFlight() int { return len(a.inFlight) }

// Stats gives the counters.
func (a *API) Stats() *Stats { return &a.stats }

func (a *API) routes() {
	post := func(path string, role access.Role, limit int64, fn writer) {
		a.mux.HandleFunc("POST "+path, a.write(role, limit, fn))
		a.writes = append(a.writes, path)
	}
	post("/v1/customers", access.Writer, MaxBody, a.createCustomer)
	post("/v1/accounts", access.Writer, MaxBody, a.openAccount)
	post("/v1/subscriptions", access.Writer, MaxBody, a.subscribe)
	post("/v1/subscriptions/password", access.Writer, MaxBody, a.setPassword)
	post("/v1/nas", access.Writer, MaxBody, a.registerNAS)
	post("/v1/deposits", access.Writer, MaxBody, a.deposit)
	post("/v1/chargebacks", access.Writer, MaxBody, a.chargeback)
	post("/v1/orders", access.Writer, MaxBody, a.placeOrder)
	post("/v1/subscribers", access.Writer, MaxSubscribers, a.importSubscribers)
	post("/v1/offerings", access.Admin, MaxCatalog, a.publish)
	post("/v1/tables", access.Admin, MaxTable, a.publishTable)
	post("/v1/proposals/decide", access.Admin, MaxBody, a.decide)
	post("/v1/rerate", access.Admin, MaxBody, a.rerate)
	post("/v1/regions", access.Admin, MaxBody, a.createRegion)
	post("/v1/regions/release", access.Admin, MaxBody, a.releaseRegion)
	post("/v1/regions/close", access.Admin, MaxBody, a.closeRegion)
	post("/v1/regions/new-epoch", access.Admin, MaxBody, a.newEpoch)
	post("/v1/regions/release-suspense", access.Admin, MaxBody, a.releaseSuspense)
	post("/v1/operators", access.Admin, MaxBody, a.createOperator)
	get := func(path string, fn reader) { a.mux.HandleFunc("GET "+path, a.read(fn)) }
	get("/v1/accounts/{id}", a.getAccount)
	get("/v1/accounts/{id}/statement", a.getStatement)
	get("/v1/subscriptions/{id}", a.getSubscription)
	get("/v1/orders/{id}", a.getOrder)
	get("/v1/regions", a.getRegions)
	get("/v1/offerings", a.getOfferings)
	get("/v1/tables", a.getTables)
	get("/v1/catalog/status", a.getCatalogStatus)
	get("/v1/proposals", a.getProposals)
	get("/v1/reviews", a.getReviews)
	get("/v1/usage", a.getUsage)
	get("/v1/entries/{id}/why", a.getWhy)
	get("/v1/audit", a.getAudit)
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	a.mux.HandleFunc("GET /readyz", a.readyz)
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, fault.Missing("path", r.URL.Path, "the resource or method", "see the API's description for paths and methods"))
	})
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.stats.Requests.Add(1)
	select {
	case a.inFlight <- struct{}{}:
		defer func() { <-a.inFlight }()
	default:
		a.stats.Overload.Add(1)
		a.fail(w, r, fault.New(fault.Unavailable, "", "", "too many requests are at work", "repeat after a second"))
		return
	}
	defer func() {
		if p := recover(); p != nil {
			a.Log.Error("a request panicked", slog.String("path", r.URL.Path), slog.Any("panic", p))
			a.fail(w, r, fault.New(fault.Internal, "", "", "the request failed", "repeat it with the same Idempotency-Key; if it fails again, report it"))
		}
	}()
	a.mux.ServeHTTP(w, r)
}

func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	if err := a.Ready(r.Context()); err != nil {
		a.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, map[string]string{"status": "ready"})
}

// caller authenticates a request and checks its role.
func (a *API) caller(r *http.Request, need access.Role) (access.Operator, string, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return access.Operator{}, "", fault.New(fault.Unauthenticated, "Authorization", "", "the request carries no token", "send Authorization: Bearer with a valid token")
	}
	o, err := a.Access.Authenticate(r.Context(), token)
	if err != nil {
		return o, "", err
	}
	if !o.Role.Covers(need) {
		return o, "", fault.New(fault.Forbidden, "Authorization", string(o.Role), "the role may not do this", "ask an operator with role "+string(need))
	}
	return o, token, nil
}

// request is a write with what its handler needs to know.
type request struct {
	operator access.Operator
	key      string
	query    url.Values
	body     []byte
}

// outcome is what a write did: the answer's body, and the audit's object, value
// before and value after. No secret may be in it.
type outcome struct {
	object        string
	before, after any
}

type writer func(ctx context.Context, tx store.Tx, r request) (outcome, error)

// write makes a handler of a change: authenticated, once for each idempotency
// key, audited.
func (a *API) write(role access.Role, limit int64, fn writer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o, token, err := a.caller(r, role)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		req := request{operator: o, key: r.Header.Get("Idempotency-Key"), query: r.URL.Query()}
		if req.key == "" || len(req.key) > maxKey || strings.IndexFunc(req.key, func(c rune) bool { return c <= ' ' || c > '~' }) >= 0 {
			a.fail(w, r, fault.Bad("Idempotency-Key", req.key, "a write needs an idempotency key", "send 1 to 128 printable ASCII characters, the same when you repeat the request"))
			return
		}
		if req.body, err = readBody(w, r, limit); err != nil {
			a.fail(w, r, err)
			return
		}
		// Bodies carry passwords: a plain hash could be searched, one keyed by the
		// caller's token, which is stored nowhere, cannot.
		mac := hmac.New(sha256.New, []byte(token))
		mac.Write([]byte(r.Method + " " + r.URL.RequestURI() + "\n"))
		mac.Write(req.body)
		answer, err := a.once(r, req, [32]byte(mac.Sum(nil)), fn)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body) // a client that has gone repeats with its key
	}
}

// once runs a write in one transaction with its audit line and stored answer, or
// returns the answer stored for its key.
func (a *API) once(r *http.Request, req request, hash [32]byte, fn writer) (access.Answer, error) {
	type result struct {
		access.Answer
		replayed bool
	}
	var out result
	var err error
	for range attempts {
		out, err = store.Run(r.Context(), a.Runner, r.Method+" "+r.URL.Path, func(ctx context.Context, tx store.Tx) (result, error) {
			stored, err := a.Access.Answered(ctx, tx, req.operator.ID, req.key, hash)
			if err != nil {
				return result{}, err
			}
			if stored != nil {
				return result{*stored, true}, nil
			}
			answer, err := a.perform(ctx, tx, r, req, hash, fn)
			return result{answer, false}, err
		})
		if !errors.Is(err, store.ErrExists) || len(fault.List(err)) > 0 {
			break
		}
	}
	if out.replayed {
		a.stats.Replayed.Add(1)
	}
	return out.Answer, err
}

func (a *API) perform(ctx context.Context, tx store.Tx, r *http.Request, req request, hash [32]byte, fn writer) (access.Answer, error) {
	did, err := fn(ctx, tx, req)
	if err != nil {
		return access.Answer{}, err
	}
	before, err := json.Marshal(did.before)
	if err != nil {
		return access.Answer{}, err
	}
	after, err := json.Marshal(did.after)
	if err != nil {
		return access.Answer{}, err
	}
	answer := access.Answer{Operator: req.operator.ID, Key: req.key, RequestHash: hash, Status: http.StatusCreated, Body: append(after, '\n')}
	if err := a.Access.Keep(ctx, tx, answer); err != nil {
		return access.Answer{}, err
	}
	return answer, a.Access.Record(ctx, tx, access.Audit{Operator: req.operator.Login, From: clientOf(r),
		Action: r.Method + " " + r.URL.Path, Object: did.object, Before: before, After: after})
}

func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

type reader func(r *http.Request) (any, error)

// read makes a handler of a question.
func (a *API) read(fn reader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := a.caller(r, access.ReadOnly); err != nil {
			a.fail(w, r, err)
			return
		}
		out, err := fn(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		reply(w, http.StatusOK, out)
	}
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fault.New(fault.TooLarge, "body", "", "the request's body is too large", "send less in one request")
	case err != nil:
		return nil, fault.Bad("body", "", "the request's body could not be read", "send it again")
	}
	return body, nil
}

// reply writes JSON. A client that has gone is no concern of the server.
func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
