package aaa

import (
	"fmt"
	"log/slog"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/vendor"
)

// accept sends an Access-Accept with the offering's profile and, when the log
// granted a limit, that limit.
func (h *Handler) accept(req *radius.Request, w *radius.Responder, v *candidate, granted command.Result) {
	found, o := &v.found, v.found.Offering
	p := limitProfile(granted.LimitUnits, granted.Seconds)
	p.UpBps, p.DownBps, p.Pool = found.Profile.UpBps, found.Profile.DownBps, found.Profile.Pool
	p.InterimS = interimOf(o, v.user)
	b := h.builder()
	defer h.builders.Put(b)
	if err := vendor.Encode(b, req.Client.Vendor, p); err != nil {
		h.cannotReply(w, fmt.Errorf("accept %s: %w", found.Subscription, err))
		return
	}
	var space [attr.MaxValue]byte
	if class := classOf(space[:0], found); class != nil {
		b.Bytes(attr.Class, class)
	}
	if v.proof != nil {
		v.proof.append(b, req)
	}
	list, err := b.List()
	if err != nil {
		h.cannotReply(w, fmt.Errorf("accept %s by offering %s: %w", found.Subscription, feed.OfferingKey(o.ID, o.Version), err))
		return
	}
	h.counters.accepts.Add(1)
	h.answer(req, w, radius.CodeAccessAccept, list)
}

// limitProfile says how much a session may use in all since it began, in octets or
// seconds; 0 is no limit.
func limitProfile(units int64, seconds bool) vendor.Profile {
	if seconds {
		return vendor.Profile{SessionTimeoutS: max(units, 0)}
	}
	return vendor.Profile{VolumeLimitBytes: max(units, 0)}
}

// classOf names the subscription and the offering version for people who read the
// NAS's accounting. It comes back in accounting as a hint only and decides
// nothing. One that no attribute can hold is left out. It is appended to dst.
func classOf(dst []byte, found *fsm.Login) []byte {
	dst = append(dst, found.Subscription...)
	dst = append(dst, '/')
	dst = feed.AppendOfferingKey(dst, found.Offering.ID, found.Offering.Version)
	if len(dst) > attr.MaxValue {
		return nil
	}
	return dst
}

// reject sends an Access-Reject with the reason's words and, after MS-CHAPv2, its
// number.
func (h *Handler) reject(req *radius.Request, w *radius.Responder, why Reject) {
	b := h.builder()
	defer h.builders.Put(b)
	if req.Attributes.Credential() == attr.CredentialMSCHAP2 {
		appendMSCHAPError(b, req, why)
	}
	vendor.Message(b, why.Message())
	h.sendReject(req, w, why, b)
}

// EAP's Failure (RFC 3748 section 4.2): code, identifier, length 4.
const eapFailure = 4

// rejectEAP sends what a rejected EAP conversation must end with: an EAP-Failure,
// and no Reply-Message beside it (RFC 3579 sections 2.6.3, 2.6.5).
func (h *Handler) rejectEAP(req *radius.Request, w *radius.Responder) {
	b := h.builder()
	defer h.builders.Put(b)
	var identifier byte
	if v := req.Attributes.Bytes(attr.EAPMessage); len(v) > 1 {
		identifier = v[1]
	}
	b.Bytes(attr.EAPMessage, []byte{eapFailure, identifier, 0, 4})
	h.sendReject(req, w, RejectMethod, b)
}

func (h *Handler) sendReject(req *radius.Request, w *radius.Responder, why Reject, b *attr.Builder) {
	list, err := b.List()
	if err != nil {
		h.cannotReply(w, fmt.Errorf("reject (%v): %w", why, err))
		return
	}
	h.counters.rejects[why].Add(1)
	h.answer(req, w, radius.CodeAccessReject, list)
}

// answer replies and measures. A reply that cannot be sent any more (replaced by a
// new request, closing) is the NAS's to ask for again.
func (h *Handler) answer(req *radius.Request, w *radius.Responder, code radius.Code, list attr.List) {
	received := req.Received // the request ends with its reply
	if err := w.Reply(code, list); err != nil {
		h.counters.replyFailed.Add(1)
		return
	}
	if code == radius.CodeAccountingResponse {
		h.counters.acct.observe(time.Since(received))
		return
	}
	h.counters.auth.observe(time.Since(received))
}

// cannotReply drops a request whose reply has a fault of the catalog's making.
func (h *Handler) cannotReply(w *radius.Responder, err error) {
	if h.broken.allow() {
		h.logger.Error("RADIUS reply cannot be built", slog.String("error", err.Error()))
	}
	h.dropAuth(w, DropReply)
}

func (h *Handler) builder() *attr.Builder {
	b := h.builders.Get().(*attr.Builder)
	b.Reset()
	return b
}
