package aaa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/radius/attr"
	"meridian/radius/coa"
	"meridian/radius/vendor"
)

// attempt is what came of one request.
type attempt struct {
	item   *item
	result coa.Result
	err    error
}

// errKind is an effect that this version does not know how to send.
var errKind = errors.New("effect is not known here: upgrade this node")

// dispatch begins every request whose turn it is, within the limits.
func (e *Effects) dispatch(ctx context.Context, now time.Time) {
	if !e.leading {
		return
	}
	for _, it := range e.order {
		if e.sending == e.cfg.Concurrency {
			return
		}
		key := it.effect.Session
		if it.phase != waiting || it.due.After(now) || it.blocked() || e.busy[key] || e.busyNAS[key.NAS] == e.cfg.PerNAS {
			continue
		}
		nas := e.handler.registry.nas(key.NAS)
		if nas == nil || nas.client == nil || !nas.coa.IsValid() {
			it.finish(command.EffectFailed)
			e.stats.noTarget.Add(1)
			continue
		}
		attrs, err := effectAttributes(&it.effect, nas.client.Vendor)
		if err != nil {
			e.fail(it, err)
			continue
		}
		it.phase = inFlight
		it.tries++
		e.sending++
		e.busyNAS[key.NAS]++
		e.busy[key] = true
		e.stats.sent.Add(1)
		to := coa.Target{Addr: nas.coa, Secret: nas.client.Secret, MA: e.cfg.MessageAuthenticator}
		e.wait.Go(func() {
			a := attempt{item: it}
			if it.effect.Kind == fsm.EffectDisconnect {
				a.result, a.err = e.sender.Disconnect(ctx, to, attrs)
			} else {
				a.result, a.err = e.sender.CoA(ctx, to, attrs)
			}
			e.results <- a // has room for all that are in flight
		})
	}
}

// drain settles what else has come in.
func (e *Effects) drain() {
	for {
		select {
		case a := <-e.results:
			e.settle(a)
		default:
			return
		}
	}
}

// settle decides what an answer means: done, no such session, again later, given
// up.
func (e *Effects) settle(a attempt) {
	it := a.item
	key := it.effect.Session
	e.sending--
	delete(e.busy, key)
	if e.busyNAS[key.NAS]--; e.busyNAS[key.NAS] == 0 {
		delete(e.busyNAS, key.NAS)
	}
	it.phase = waiting
	switch {
	case errors.Is(a.err, coa.ErrBusy):
		it.tries-- // the NAS was not asked
		it.due = time.Now().Add(e.cfg.RetryPause)
		e.stats.busy.Add(1)
	case errors.Is(a.err, context.Canceled), errors.Is(a.err, context.DeadlineExceeded), errors.Is(a.err, coa.ErrClosed):
		it.due = time.Now().Add(e.cfg.RetryPause) // the end of this node's leading or life
	case a.err != nil:
		e.fail(it, a.err)
	case a.result.Outcome == coa.ACK:
		it.finish(command.EffectDone)
		e.stats.acked.Add(1)
	case a.result.Outcome == coa.NAK && a.result.Cause == coa.CauseSessionNotFound:
		it.finish(command.EffectNoSession)
		e.stats.noSession.Add(1)
	case it.tries >= e.cfg.Tries:
		e.fail(it, fmt.Errorf("%v (%v) after %d tries", a.result.Outcome, a.result.Cause, it.tries))
	default:
		it.due = time.Now().Add(e.cfg.pause(it.tries))
		e.stats.retried.Add(1)
	}
}

// fail gives an effect up; the state machine tries again at the session's next
// report.
func (e *Effects) fail(it *item, err error) {
	it.finish(command.EffectFailed)
	e.stats.failed.Add(1)
	if e.warned.allow() {
		e.logger.Warn("NAS did not do what was asked", slog.String("nas", it.effect.Session.NAS), slog.String("session", it.effect.Session.ID),
			slog.String("error", err.Error()), slog.Uint64("failed", e.stats.failed.Load()))
	}
}

// effectAttributes are a request's attributes: what names the session, in the
// NAS's own octets, and for a new limit the vendor's attributes for it. The limit
// is the total since the session's start, as in the Access-Accept.
func effectAttributes(ef *fsm.Effect, vendorName string) (attr.List, error) {
	var b attr.Builder
	if ef.Login != "" {
		b.Bytes(attr.UserName, octets(ef.Login))
	}
	b.Bytes(attr.AcctSessionID, octets(ef.Session.ID))
	if ip, err := netip.ParseAddr(ef.FramedIP); err == nil {
		if ip.Is4() {
			b.Addr(attr.FramedIPAddress, ip)
		} else {
			b.Addr(attr.FramedIPv6Address, ip)
		}
	}
	b.String(attr.NASIdentifier, ef.Session.NAS)
	switch ef.Kind {
	case fsm.EffectDisconnect:
	case fsm.EffectLimit:
		if err := vendor.Encode(&b, vendorName, limitProfile(ef.Limit, ef.Seconds)); err != nil {
			return nil, fmt.Errorf("limit of session %s: %w", ef.Session, err)
		}
	case fsm.EffectProfile:
		if err := vendor.Encode(&b, vendorName, vendor.Profile{UpBps: ef.UpBps, DownBps: ef.DownBps}); err != nil {
			return nil, fmt.Errorf("profile %q of session %s: %w", ef.Profile, ef.Session, err)
		}
	default:
		return nil, fmt.Errorf("effect %d of kind %d: %w", ef.ID, ef.Kind, errKind)
	}
	list, err := b.List()
	if err != nil {
		return nil, fmt.Errorf("attributes of effect %d: %w", ef.ID, err)
	}
	return list, nil
}
