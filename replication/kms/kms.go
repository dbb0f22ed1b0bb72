package kms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"time"

	"meridian/replication/seal"
)

const (
	protocol     = 1
	maxMessage   = 16 << 10
	keyContext   = "meridian/data-key/"
	leastWait    = 10 * time.Millisecond
	mostWait     = time.Minute
	killedWithin = time.Second // how long a killed program may hold its output open
)

// Config names the one provider that wraps the data keys; the zero value names none.
type Config struct {
	KeyringFile string        // a key file whose keys wrap
	Command     []string      // a program and its arguments, no shell
	Socket      string        // path of a Unix socket
	Timeout     time.Duration // for one answer of a program or server
}

// DefaultTimeout is how long an answer is awaited.
const DefaultTimeout = 5 * time.Second

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	given := 0
	for _, is := range []bool{c.KeyringFile != "", len(c.Command) > 0, c.Socket != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		faults = append(faults, errors.New("kms config: give one of keyring_file, command and socket"))
	}
	if len(c.Command) > 0 && c.Command[0] == "" {
		faults = append(faults, errors.New("kms config: command begins with an empty word; name the program"))
	}
	if given > 0 && (c.Timeout < leastWait || c.Timeout > mostWait) {
		faults = append(faults, fmt.Errorf("kms config: timeout %s; write %s to %s", c.Timeout, leastWait, mostWait))
	}
	return errors.Join(faults...)
}

// New builds the keeper that the configuration names; nil when it names none.
func New(c Config) (seal.Keeper, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch {
	case c.KeyringFile != "":
		return newKeyring(c.KeyringFile)
	case len(c.Command) > 0:
		return &remote{name: "program " + c.Command[0], timeout: c.Timeout, ask: runs(c.Command)}, nil
	case c.Socket != "":
		return &remote{name: "socket " + c.Socket, timeout: c.Timeout, ask: posts(c.Socket)}, nil
	}
	return nil, nil
}

func contextOf(id uint32) string { return keyContext + strconv.FormatUint(uint64(id), 10) }

type request struct {
	Version    int    `json:"version"`
	Op         string `json:"op"`
	Context    string `json:"context"`
	Plaintext  []byte `json:"plaintext,omitempty"`
	Key        string `json:"key,omitempty"`
	Ciphertext []byte `json:"ciphertext,omitempty"`
}

type answer struct {
	Key        string `json:"key"`
	Ciphertext []byte `json:"ciphertext"`
	Plaintext  []byte `json:"plaintext"`
	Error      string `json:"error"`
}

// refusals are the words of the protocol, with what to do about them.
func refusals() map[string]string {
	return map[string]string{
		"denied":      "let this process use the key-encryption key",
		"unknown_key": "the key-encryption key is gone or disabled: restore it, or the key file of another wrapping",
		"unavailable": "see that the key management service answers, then try again",
		"corrupt":     "the wrapped key is damaged or another's: restore the key file from its copy",
	}
}

// remote is a provider behind the protocol.
type remote struct {
	name    string
	timeout time.Duration
	ask     func(ctx context.Context, op string, body []byte) ([]byte, error)
}

func (r *remote) call(ctx context.Context, q request) (answer, error) {
	q.Version = protocol
	body, err := json.Marshal(q)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", seal.ErrKeeper, err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	data, err := r.ask(ctx, q.Op, body)
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer within %s", r.timeout)
	}
	if err != nil {
		return answer{}, fmt.Errorf("%w: %s, %s: %w; %s", seal.ErrKeeper, r.name, q.Op, err, refusals()["unavailable"])
	}
	if len(data) > maxMessage {
		return answer{}, fmt.Errorf("%w: %s, %s: the answer has more than %d octets; it does not speak the protocol", seal.ErrKeeper, r.name, q.Op, maxMessage)
	}
	var a answer
	if err := json.Unmarshal(data, &a); err != nil { // err may quote the answer
		return answer{}, fmt.Errorf("%w: %s, %s: the answer is not the protocol's JSON object; see package kms", seal.ErrKeeper, r.name, q.Op)
	}
	if a.Error != "" {
		remedy, known := refusals()[a.Error]
		if !known {
			a.Error, remedy = "an error that the protocol does not name", "look into its log"
		}
		return answer{}, fmt.Errorf("%w: %s, %s: %s; %s", seal.ErrKeeper, r.name, q.Op, a.Error, remedy)
	}
	return a, nil
}

// Wrap implements seal.Keeper.
func (r *remote) Wrap(ctx context.Context, k seal.Key) (seal.Wrapped, error) {
	a, err := r.call(ctx, request{Op: "wrap", Context: contextOf(k.ID), Plaintext: k.Bytes[:]})
	if err == nil && bytes.Contains(a.Ciphertext, k.Bytes[:]) {
		err = fmt.Errorf("%w: %s, wrap: it gave the key back in clear text; it wraps nothing", seal.ErrKeeper, r.name)
	}
	return seal.Wrapped{By: a.Key, Blob: a.Ciphertext}, err
}

// Unwrap implements seal.Keeper.
func (r *remote) Unwrap(ctx context.Context, id uint32, w seal.Wrapped) (seal.Key, error) {
	a, err := r.call(ctx, request{Op: "unwrap", Context: contextOf(id), Key: w.By, Ciphertext: w.Blob})
	if err == nil && len(a.Plaintext) != seal.KeyBytes {
		err = fmt.Errorf("%w: %s, unwrap: it gave %d octets; a key has %d", seal.ErrKeeper, r.name, len(a.Plaintext), seal.KeyBytes)
	}
	if err != nil {
		return seal.Key{}, err
	}
	return seal.Key{ID: id, Bytes: [seal.KeyBytes]byte(a.Plaintext)}, nil
}

// runs asks a program. What it writes on standard error is not kept: it may hold
// secrets.
func runs(argv []string) func(context.Context, string, []byte) ([]byte, error) {
	return func(ctx context.Context, _ string, body []byte) ([]byte, error) {
		var out limited
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.WaitDelay = bytes.NewReader(body), &out, killedWithin
		if err := cmd.Run(); err != nil {
			return nil, err
		}
		return out.b, nil
	}
}

// limited keeps one octet more than an answer may have, and drops the rest.
type limited struct{ b []byte }

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	l.b = append(l.b, p[:min(len(p), maxMessage+1-len(l.b))]...)
	return len(p), nil
}

// posts asks a server on a Unix socket.
func posts(path string) func(context.Context, string, []byte) ([]byte, error) {
	return func(ctx context.Context, op string, body []byte) ([]byte, error) {
		tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://kms/v1/"+op, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("it answers with status %d", resp.StatusCode)
		}
		return io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	}
}
