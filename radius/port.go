package radius

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Batch sizes of recvmmsg and sendmmsg: enough to share the cost of a system call, small enough to stay in the cache.
const (
	readBatch  = 64
	writeBatch = 64
)

// batchConn is what ipv4.PacketConn and ipv6.PacketConn have in common; their Message types are one.
type batchConn interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// port is one listening socket with its counters and its replies waiting to be sent.
type port struct {
	counters
	acct     bool
	conn     *net.UDPConn
	batch    batchConn
	local    netip.AddrPort
	wildcard bool // packets say in a control message which address they were sent to
	v6       bool // an IPv6 socket: IPv4 peers appear mapped

	mu      sync.Mutex
	pending []*datagram
	limit   int
	closed  bool
	wake    chan struct{}
}

// datagram is a reply on its way out; the memory is pooled.
type datagram struct {
	buf  []byte
	to   netip.AddrPort
	from netip.Addr
}

// listen opens the socket with the largest receive buffer that it may have.
func listen(ctx context.Context, addr netip.AddrPort, acct bool, readBuffer, limit int) (*port, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp" // on [::] both families, on another address IPv6
	}
	var control net.ListenConfig
	c, err := control.ListenPacket(ctx, network, addr.String())
	if err != nil {
		return nil, fmt.Errorf("listen for RADIUS on %v: %w", addr, err)
	}
	conn := c.(*net.UDPConn)
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	p := &port{
		acct: acct, conn: conn, local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), limit: limit,
		wildcard: addr.Addr().IsUnspecified(), v6: addr.Addr().Is6(), wake: make(chan struct{}, 1),
	}
	if err := p.prepare(readBuffer); err != nil {
		conn.Close()
		return nil, fmt.Errorf("prepare RADIUS socket on %v: %w", addr, err)
	}
	return p, nil
}

func (p *port) prepare(readBuffer int) error {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return err
	}
	var forced error
	if err := raw.Control(func(fd uintptr) {
		forced = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, readBuffer)
	}); err != nil {
		return err
	}
	if forced != nil {
		// Without CAP_NET_ADMIN the kernel cuts the size down to net.core.rmem_max; Stats tell what was given.
		if err := p.conn.SetReadBuffer(readBuffer); err != nil {
			return err
		}
	}
	if !p.v6 {
		pc := ipv4.NewPacketConn(p.conn)
		p.batch = pc
		if p.wildcard {
			return pc.SetControlMessage(ipv4.FlagDst, true)
		}
		return nil
	}
	pc := ipv6.NewPacketConn(p.conn)
	p.batch = pc
	if p.wildcard {
		return pc.SetControlMessage(ipv6.FlagDst, true)
	}
	return nil
}

// asked is the local address that a message was sent to.
func (p *port) asked(m *ipv4.Message) netip.Addr {
	if !p.wildcard {
		return p.local.Addr()
	}
	var ip net.IP
	if p.v6 {
		var cm ipv6.ControlMessage
		if cm.Parse(m.OOB[:m.NN]) == nil {
			ip = cm.Dst
		}
	} else {
		var cm ipv4.ControlMessage
		if cm.Parse(m.OOB[:m.NN]) == nil {
			ip = cm.Dst
		}
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// control is the message that makes a reply leave from the address that was asked; nil where the socket has one address only.
func (p *port) control(from netip.Addr) []byte {
	switch {
	case !p.wildcard || !from.IsValid():
		return nil
	case from.Is6():
		return (&ipv6.ControlMessage{Src: from.AsSlice()}).Marshal()
	}
	// Towards an IPv4 peer the kernel takes the IPv4 form on a socket of both families too.
	return (&ipv4.ControlMessage{Src: from.AsSlice()}).Marshal()
}

// send puts a reply into the sender's list; false when the list is full or closed.
func (p *port) send(d *datagram) bool {
	p.mu.Lock()
	if p.closed || len(p.pending) >= p.limit {
		p.mu.Unlock()
		return false
	}
	p.pending = append(p.pending, d)
	first := len(p.pending) == 1
	p.mu.Unlock()
	if first {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// sender writes replies in batches until the port is closed and nothing is left. release takes datagrams back.
func (p *port) sender(release func(*datagram)) {
	w := newBatchWriter(p)
	var list []*datagram
	for {
		p.mu.Lock()
		list, p.pending = p.pending, list[:0]
		closed := p.closed
		p.mu.Unlock()
		if len(list) == 0 {
			if closed {
				return
			}
			<-p.wake
			continue
		}
		for at := 0; at < len(list); at += writeBatch {
			w.write(list[at:min(at+writeBatch, len(list))])
		}
		for i, d := range list {
			release(d)
			list[i] = nil
		}
	}
}

// stop makes the sender end after what is pending.
func (p *port) stop() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// batchWriter keeps the memory of sendmmsg between calls.
type batchWriter struct {
	port     *port
	messages [writeBatch]ipv4.Message
	buffers  [writeBatch][1][]byte
	addrs    [writeBatch]net.UDPAddr
	ips      [writeBatch][16]byte
}

func newBatchWriter(p *port) *batchWriter { return &batchWriter{port: p} }

// write sends at most writeBatch datagrams; one that the kernel refuses is counted and passed over.
func (w *batchWriter) write(list []*datagram) {
	for i, d := range list {
		w.buffers[i][0] = d.buf
		a := &w.addrs[i]
		if w.port.v6 {
			w.ips[i] = d.to.Addr().As16()
			a.IP = w.ips[i][:]
		} else {
			v4 := d.to.Addr().As4()
			a.IP = append(w.ips[i][:0], v4[:]...)
		}
		a.Port, a.Zone = int(d.to.Port()), d.to.Addr().Zone()
		w.messages[i] = ipv4.Message{Buffers: w.buffers[i][:], Addr: a, OOB: w.port.control(d.from)}
	}
	for rest := w.messages[:len(list)]; len(rest) > 0; {
		n, err := w.port.batch.WriteBatch(rest, 0)
		if err != nil || n <= 0 {
			if errors.Is(err, net.ErrClosed) {
				w.port.sendErrors.Add(uint64(len(rest)))
				return
			}
			w.port.sendErrors.Add(1)
			n = max(n, 0) + 1
		}
		rest = rest[min(n, len(rest)):]
	}
}

// memInfoDrops is SK_MEMINFO_DROPS of linux/sock_diag.h, the place of the drop counter in the array that SO_MEMINFO gives.
const memInfoDrops = 8

// kernel reads the socket's drop counter and the size of its receive buffer; zeros when the kernel does not tell.
func (p *port) kernel() (drops uint64, bufferBytes int) {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return 0, 0
	}
	_ = raw.Control(func(fd uintptr) {
		var info [64]byte
		n := uint32(len(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
		if errno == syscall.Errno(0) && n >= 4*(memInfoDrops+1) {
			drops = uint64(binary.NativeEndian.Uint32(info[4*memInfoDrops:]))
		}
		bufferBytes, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	return drops, bufferBytes
}
