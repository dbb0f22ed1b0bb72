package chaos

import (
	"fmt"
	"os/exec"
	"strings"
)

// Addresses, as the demo has them below the network; those of the harness beside
// them.
const (
	network    = "127.77"
	centreAddr = network + ".0.1"
	harness    = network + ".3.1" // relays
	linkRelay  = harness + ":7100"
)

func nodeAddr(n int) string { return fmt.Sprintf("%s.1.%d", network, n) }
func nasAddr(n int) string  { return fmt.Sprintf("%s.2.%d", network, n) }

// nasRelay is where the n-th node seems to be for the m-th NAS.
func nasRelay(m, n int) string { return fmt.Sprintf("%s.%d.%d", network, 3+m, n) }

// machine is a network namespace with one card. The harness's own has no name.
type machine struct{ name, addr string }

// run executes a program and gives what it said with an error.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// script executes lines of shell.
func script(text string) error {
	out, err := exec.Command("bash", "-euc", text).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", text, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// within is the beginning of a command line that runs in the machine.
func (m machine) within() string {
	if m.name == "" {
		return ""
	}
	return "nsenter --net=/run/netns/" + m.name + " "
}

// firewall makes the set of addresses from which the machine hears nothing.
const firewall = `nft add table inet chaos
nft add set inet chaos deaf '{ type ipv4_addr; }'
nft add chain inet chaos in '{ type filter hook input priority 0; }'
nft add rule inet chaos in ip saddr @deaf drop
`

// loopback leaves 127.0.0.1 alone to the machine itself: the rest is routed.
const loopback = `echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
ip link set lo up
ip addr del 127.0.0.1/8 dev lo
ip addr add 127.0.0.1/32 dev lo
`

// newSwitch makes the bridge that all machines hang on, with the harness's own
// addresses.
func newSwitch(addrs ...string) error {
	text := loopback + "ip link add br0 type bridge\nip link set br0 up\n"
	for i, a := range addrs {
		bits := 32
		if i == 0 {
			bits = 16
		}
		text += fmt.Sprintf("ip addr add %s/%d scope global dev br0\n", a, bits)
	}
	return script(text + firewall)
}

// newMachine makes a namespace and plugs it in.
func newMachine(name, addr string) (machine, error) {
	m := machine{name: name, addr: addr}
	inside := loopback + fmt.Sprintf("ip addr add %s/16 scope global dev eth0\nip link set eth0 up\n", addr) + firewall
	return m, script(fmt.Sprintf(`ip netns add %[1]s
ip link add v-%[1]s type veth peer name eth0 netns %[1]s
ip link set v-%[1]s master br0 up
%[2]sbash -euc %[3]s
`, name, m.within(), quote(inside)))
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// deafen lets the machine hear nothing from an address.
func (m machine) deafen(from string) error {
	return script(m.within() + "nft add element inet chaos deaf '{ " + from + " }'")
}

// hear undoes deafen.
func (m machine) hear(from string) error {
	return script(m.within() + "nft delete element inet chaos deaf '{ " + from + " }'")
}

// unplug takes the machine's cable out; plug puts it back.
func (m machine) unplug() error { return run("ip", "link", "set", "v-"+m.name, "down") }
func (m machine) plug() error   { return run("ip", "link", "set", "v-"+m.name, "up") }

// slow bounds what the machine sends; fast ends that.
func (m machine) slow(rate string) error {
	return script(m.within() + "tc qdisc add dev eth0 root tbf rate " + rate + " burst 16k latency 400ms")
}
func (m machine) fast() error { return script(m.within() + "tc qdisc del dev eth0 root") }
