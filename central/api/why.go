package api

import (
	"cmp"
	"net/http"

	"meridian/internal/why"
)

// getWhy says why an entry of the books is what it is. The id's slashes are escaped:
// entry%2Fnorth%2F1%2F17.
func (a *API) getWhy(r *http.Request) (any, error) {
	return a.Explain.Of(r.Context(), r.PathValue("id"), why.Language(cmp.Or(r.URL.Query().Get("lang"), string(why.English))))
}
