package api

import (
	"errors"
	"log/slog"
	"net/http"

	"meridian/central/fault"
	"meridian/central/store"
)

// errorBody is what a client gets with every status from 400 on. The first fault
// stands at the top; all of them in Faults when there are several.
type errorBody struct {
	Code    fault.Code  `json:"code"`
	Message string      `json:"message"`
	Field   string      `json:"field,omitempty"`
	Value   string      `json:"value,omitempty"`
	Remedy  string      `json:"remedy"`
	Faults  []errorBody `json:"faults,omitempty"`
}

func bodyOf(f *fault.Error) errorBody {
	return errorBody{Code: f.Code, Message: f.Message, Field: f.Field, Value: f.Value, Remedy: f.Remedy}
}

// faultsOf turns any error into faults; what is not meant for a client becomes
// one that says nothing of the inside.
func faultsOf(err error) []*fault.Error {
	if list := fault.List(err); len(list) > 0 {
		return list
	}
	var unknown *store.UnknownOutcomeError
	switch {
	case errors.As(err, &unknown):
		return []*fault.Error{fault.New(fault.Unavailable, "", "", "it is not known whether the request took effect", "repeat it with the same Idempotency-Key: it takes effect once")}
	case errors.Is(err, store.ErrUnavailable):
		return []*fault.Error{fault.New(fault.Unavailable, "", "", "the database is not available", "repeat the request with the same Idempotency-Key")}
	}
	return []*fault.Error{fault.New(fault.Internal, "", "", "the request failed", "repeat it with the same Idempotency-Key; if it fails again, report it")}
}

func statusOf(c fault.Code) int {
	switch c {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Exists, fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail answers with the error body. Only what the centre itself did wrong is
// logged: a client's fault is told to the client.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	list := faultsOf(err)
	status := statusOf(list[0].Code)
	if status >= http.StatusInternalServerError {
		a.stats.ServerFaults.Add(1)
		if r.Context().Err() == nil {
			a.Log.Error("a request failed", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", status), slog.Any("error", err))
		}
	} else {
		a.stats.ClientFaults.Add(1)
	}
	body := bodyOf(list[0])
	if len(list) > 1 {
		for _, f := range list {
			body.Faults = append(body.Faults, bodyOf(f))
		}
	}
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	reply(w, status, body)
}
