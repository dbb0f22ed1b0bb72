package radius

import "sync/atomic"

// send gives a reply to the socket's sender and counts it; false when the sender's list is full or closed.
func (s *Server) send(ex *exchange, d *datagram, counter *atomic.Uint64) bool {
	d.to, d.from = ex.Source, ex.Local
	if !ex.port.send(d) {
		reason := DropSendQueue
		if s.closing.Load() {
			reason = DropClosing
		}
		s.drop(ex.port, reason, ex.Source, nil)
		s.releaseDatagram(d)
		return false
	}
	counter.Add(1)
	return true
}

// discard drops a packet that never reached the handler.
func (s *Server) discard(ex *exchange, reason DropReason, err error) {
	s.drop(ex.port, reason, ex.Source, err)
	s.releaseExchange(ex)
}

// abandon ends a request at the handler without an answer.
func (s *Server) abandon(ex *exchange, reason DropReason) {
	s.dup.forget(ex.key(), ex.serial)
	s.drop(ex.port, reason, ex.Source, nil)
	s.end(ex)
}

// end releases a request that was at the handler.
func (s *Server) end(ex *exchange) {
	s.releaseExchange(ex)
	s.ended()
}

// ended gives a place of MaxInFlight back and tells Close, should it wait.
func (s *Server) ended() {
	if s.inFlight.Add(-1) == 0 && s.closing.Load() {
		select {
		case s.answered <- struct{}{}:
		default:
		}
	}
}

func (s *Server) releaseExchange(ex *exchange) {
	if cap(ex.buf) > keepBuffer {
		ex.buf = nil
	}
	ex.Request = Request{}
	ex.port = nil
	s.exchanges.Put(ex)
}

func (s *Server) releaseDatagram(d *datagram) {
	if cap(d.buf) > keepBuffer {
		d.buf = nil
	}
	s.datagrams.Put(d)
}
