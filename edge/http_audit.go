package edge

import (
	"context"
	"net/http"

	"meridian/edge/fsm"
	"meridian/internal/feed"
)

type callerKey struct{}

// calledBy gives a request the operator whose token it bears.
func calledBy(r *http.Request, o feed.Operator) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, o))
}

// audit logs who changed what, from where and with what outcome: one line for each call
// that may change something, refused ones too.
func (n *Node) audit(r *http.Request, err error, details ...any) {
	o, _ := r.Context().Value(callerKey{}).(feed.Operator) // guard has let an operator in
	outcome := "done"
	if err != nil {
		outcome = err.Error()
	}
	n.logger.Info("operator call", append([]any{"operator", o.Login, "operator_id", o.ID, "role", o.Role, "from", r.RemoteAddr,
		"call", r.Method + " " + r.URL.Path, "outcome", outcome}, details...)...)
}

// standing is who belongs to the region and who leads, before a change.
func (n *Node) standing() (out struct {
	Leader  string
	Members []string
	Level   uint64
}) {
	out.Leader, _ = n.store.Raft().Leader()
	if members, err := n.store.Raft().Servers(); err == nil { // else raft is stopping: it knows of none
		for _, m := range members {
			kind := " (voter)"
			if !m.Voter {
				kind = " (catching up)"
			}
			out.Members = append(out.Members, m.ID+kind)
		}
	}
	n.store.View(func(s *fsm.State) { out.Level = s.Level })
	return out
}
