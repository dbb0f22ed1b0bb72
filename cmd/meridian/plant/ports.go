package plant

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrPortTaken: an address that the plant needs is in use.
var ErrPortTaken = errors.New("address is in use")

// FreePorts checks that every address of the layout can be listened on, so that
// a clash is named before anything is started.
func (l Layout) FreePorts(ctx context.Context) error {
	tcp := []string{l.CentreHTTP(), l.CentreLink(), l.RelayLink()}
	udp := []string{l.NASCoA(l.Nodes + 1).String()}
	for n := 1; n <= l.Nodes; n++ {
		tcp = append(tcp, l.NodeHTTP(n), l.at(1, n, portRaft), l.at(1, n, portForward), l.at(1, n, portGossip))
		udp = append(udp, l.Auth(n).String(), l.Acct(n).String(), l.at(1, n, portGossip), l.NASCoA(n).String())
	}
	var faults []error
	var lc net.ListenConfig
	for _, addr := range tcp {
		if lis, err := lc.Listen(ctx, "tcp", addr); err != nil {
			faults = append(faults, taken("tcp", addr, err))
		} else if err := lis.Close(); err != nil {
			faults = append(faults, err)
		}
	}
	for _, addr := range udp {
		if pc, err := lc.ListenPacket(ctx, "udp", addr); err != nil {
			faults = append(faults, taken("udp", addr, err))
		} else if err := pc.Close(); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func taken(network, addr string, err error) error {
	letter := "t"
	if network == "udp" {
		letter = "u"
	}
	port := netip.MustParseAddrPort(addr).Port()
	return fmt.Errorf("%w: %s %s: %w: stop the program that `ss -ln%sp 'sport = :%d'` shows, or choose other addresses by --network", ErrPortTaken, network, addr, err, letter, port)
}
