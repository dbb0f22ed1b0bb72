package edge

import (
	"errors"
	"fmt"
	"net/netip"

	"meridian/edge/aaa"
	"meridian/radius"
	"meridian/radius/coa"
	"meridian/replication/seal"
)

// opener opens credentials that the centre sealed with the region's ring.
type opener struct{ ring *seal.Ring }

// Open implements aaa.Opener.
func (o opener) Open(sealed []byte, aad string) ([]byte, error) {
	return o.ring.Open(nil, sealed, []byte(aad))
}

func (n *Node) openRADIUS() error {
	hc := aaa.DefaultConfig()
	hc.Node, hc.StaleAfter, hc.Clock = n.cfg.Node, n.cfg.StaleAfter, n.shifted
	var err error
	if n.aaa, err = aaa.New(hc, n.store, opener{n.cfg.Ring}, n.logger); err != nil {
		return err
	}
	cc := coa.DefaultConfig()
	cc.Local = netip.AddrPortFrom(n.cfg.RadiusAuth.Addr(), 0)
	if n.coa, err = coa.New(cc, n.logger); err != nil {
		return err
	}
	ec := aaa.DefaultEffectsConfig()
	ec.Changed = n.store.Changed
	if n.effects, err = aaa.NewEffects(ec, n.store, n.aaa, n.coa, n.logger); err != nil {
		return err
	}
	rc := radius.DefaultConfig()
	rc.AuthAddr, rc.AcctAddr, rc.Ready = n.cfg.RadiusAuth, n.cfg.RadiusAcct, n.aaa.Ready
	n.radiusLimits = rc
	if n.radius, err = radius.New(rc, n.aaa, n.aaa, n.logger); err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

// closeRADIUS stops taking packets, then what answers them. What it finds is told to
// the first caller.
func (n *Node) closeRADIUS() (err error) {
	n.radiusOnce.Do(func() {
		if n.radius != nil {
			err = n.radius.Close()
		}
		if n.effects != nil {
			err = errors.Join(err, n.effects.Close())
		}
		if n.coa != nil {
			err = errors.Join(err, n.coa.Close())
		}
		if n.aaa != nil {
			err = errors.Join(err, n.aaa.Close())
		}
	})
	return err
}
