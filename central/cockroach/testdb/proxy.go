package testdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Break is where a Proxy drops a connection at a COMMIT. The client sees the same
// either way: it cannot tell which.
type Break int

// The places.
const (
	BeforeCommit Break = iota // the COMMIT never reaches the server
	AfterCommit               // the server has committed, its word never comes back
)

// Proxy stands between a client and the server, reads the PostgreSQL protocol
// (version 3) and loses connections where a test wants it.
type Proxy struct {
	target string
	ln     net.Listener
	url    string
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	away  bool
	shot  *shot
	fired int
}

// shot is armed for the next COMMIT of a transaction that has run a statement
// with a text.
type shot struct {
	at   Break
	text string
}

// NewProxy starts a proxy before the database of a URL, which must not use TLS.
func NewProxy(t testing.TB, dbURL string) *Proxy {
	t.Helper()
	u, err := url.Parse(dbURL)
	if err != nil {
		t.Fatal("testdb: the URL for the proxy is malformed")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testdb: proxy: %v", err)
	}
	p := &Proxy{target: u.Host, ln: ln, conns: map[net.Conn]bool{}}
	u.Host = ln.Addr().String()
	q := u.Query()
	q.Set("sslmode", "disable") // the proxy has to read it
	u.RawQuery = q.Encode()
	p.url = u.String()
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = ln.Close() // ends accept
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// URL is the database's URL through the proxy.
func (p *Proxy) URL() string { return p.url }

// BreakCommit arms the proxy, once: the next COMMIT of a transaction that has run
// a statement with the text loses its connection.
func (p *Proxy) BreakCommit(at Break, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shot = &shot{at, text}
}

// Fired is how many commits were broken.
func (p *Proxy) Fired() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fired
}

// Cut drops every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close() // its loops end and tell nobody
	}
}

// Away drops every connection and takes no new one until it is told otherwise: the
// server has gone.
func (p *Proxy) Away(away bool) {
	p.mu.Lock()
	p.away = away
	p.mu.Unlock()
	if away {
		p.Cut()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// hold registers a connection so that Cut reaches it; false when the server is away.
func (p *Proxy) hold(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close() // it may be closed already
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) serve(client net.Conn) {
	defer p.drop(client)
	if !p.hold(client) {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.hold(server) {
		return
	}
	s := &session{p: p, client: client, server: server, prepared: map[string]string{}}
	p.wg.Go(func() {
		s.answers()
		p.drop(client)
		p.drop(server)
	})
	s.requests()
}

// session is one connection through the proxy.
type session struct {
	p              *Proxy
	client, server net.Conn
	prepared       map[string]string // statements by name
	ran            []string          // in this transaction

	mu   sync.Mutex
	mute bool // the server's answers are not passed on any more
}

// requests passes the client's messages on until it is cut.
func (s *session) requests() {
	startup, err := message(s.client, nil)
	if err != nil {
		return
	}
	if _, err := s.server.Write(startup); err != nil {
		return
	}
	for {
		var kind [1]byte
		if _, err := io.ReadFull(s.client, kind[:]); err != nil {
			return
		}
		m, err := message(s.client, kind[:])
		if err != nil {
			return
		}
		if s.note(m) {
			if at, fires := s.p.fires(s.ran); fires {
				if at == BeforeCommit {
					return
				}
				s.mu.Lock()
				s.mute = true // answers ends both when the server is done
				s.mu.Unlock()
			}
			s.ran = nil
		}
		if _, err := s.server.Write(m); err != nil {
			return
		}
	}
}

// note keeps what a transaction runs, and tells whether a message is its COMMIT.
func (s *session) note(m []byte) (commit bool) {
	body := m[5:]
	switch m[0] {
	case 'Q':
		sql := text(body)
		s.ran = append(s.ran, sql)
		return strings.EqualFold(strings.TrimSpace(sql), "commit")
	case 'P':
		name := text(body)
		s.prepared[name] = text(body[len(name)+1:])
	case 'B':
		portal := text(body)
		s.ran = append(s.ran, s.prepared[text(body[len(portal)+1:])])
	}
	return false
}

// fires takes the shot if it is meant for a transaction that ran these statements.
func (p *Proxy) fires(ran []string) (Break, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shot == nil {
		return 0, false
	}
	for _, sql := range ran {
		if strings.Contains(sql, p.shot.text) {
			at := p.shot.at
			p.shot, p.fired = nil, p.fired+1
			return at, true
		}
	}
	return 0, false
}

// answers passes the server's messages on. Once muted it reads to the end of the
// server's answer, so that what was asked is done, and passes nothing on.
func (s *session) answers() {
	for {
		var kind [1]byte
		if _, err := io.ReadFull(s.server, kind[:]); err != nil {
			return
		}
		m, err := message(s.server, kind[:])
		if err != nil {
			return
		}
		s.mu.Lock()
		mute := s.mute
		s.mu.Unlock()
		if mute {
			if m[0] == 'Z' {
				return
			}
			continue
		}
		if _, err := s.client.Write(m); err != nil {
			return
		}
	}
}

// maxMessage bounds what one message may hold.
const maxMessage = 64 << 20

// message reads a message's length and body, and returns all of it with its head.
func message(r io.Reader, head []byte) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > maxMessage {
		return nil, fmt.Errorf("testdb: proxy: message of %d bytes", n)
	}
	m := append(bytes.Clone(head), size[:]...)
	body := make([]byte, n-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, errors.Join(errors.New("testdb: proxy: message cut short"), err)
	}
	return append(m, body...), nil
}

// text is what stands before the first NUL.
func text(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}
