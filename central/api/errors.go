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
		return []*fault.Error{databaseFault(store.CauseOf(err))}
	}
	return []*fault.Error{fault.New(fault.Internal, "", "", "the request failed", "repeat it with the same Idempotency-Key; if it fails again, report it")}
}

// databaseFault tells a client what is the matter with the database: it is the
// operator's to mend, the request may be repeated.
func databaseFault(cause store.Cause) *fault.Error {
	message, remedy := "the database is not available", ""
	switch cause {
	case store.ReadOnly:
		message, remedy = "the database takes no writes", "; the operator has to end its read-only mode"
	case store.Full:
		message, remedy = "the database is full", "; the operator has to free or add disk space"
	case store.Overloaded:
		message = "the database has too much to do"
	case store.Contended:
		message = "too many others change the same data"
	}
	return fault.New(fault.Unavailable, "database", string(cause), message, "repeat the request with the same Idempotency-Key after Retry-After seconds"+remedy)
}

// retryAfter is the hint of a 503, in seconds: longer for what a person has to mend.
func retryAfter(err error) string {
	switch store.CauseOf(err) {
	case store.Full:
		return "30"
	case store.ReadOnly:
		return "10"
	case store.Down:
		return "2"
	}
	return "1"
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
		w.Header().Set("Retry-After", retryAfter(err))
	}
	reply(w, status, body)
}
