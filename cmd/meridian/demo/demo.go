// Package demo tells the whole story on one machine: a region is cut off, the
// centre dies, the leader dies, all come back, and the books are equal.
//
// It owns the story's order and its figures. The system is plant's, the load
// traffic's, the judgement internal/verify's.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/plant"
	"meridian/cmd/meridian/traffic"
	"meridian/cmd/meridian/witness"
)

// Config is what the command line says.
type Config struct {
	Dir          string // empty: a temporary one, removed at a clean end
	Network      string // empty: as the directory has it, or plant.DefaultNetwork
	Nodes        int    // 0: as the directory has it, or plant.DefaultNodes
	Subscribers  int
	StoreURL     string
	Once         bool
	NoStory      bool
	PhaseSeconds int
	Sessions     int
	Report       string
	Witness      string
	Version      string
	Out          io.Writer
	Logger       *slog.Logger
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Subscribers: 1000, PhaseSeconds: 6, Sessions: traffic.DefaultConfig().Sessions,
	}
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var faults []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	need(c.Subscribers >= 20 && c.Subscribers <= 1_000_000, "--subscribers is %d: use 20 to 1000000", c.Subscribers)
	need(c.PhaseSeconds >= 1 && c.PhaseSeconds <= 3600, "--phase-seconds is %d: use 1 to 3600", c.PhaseSeconds)
	need(c.Sessions >= 1 && c.Sessions <= 20_000, "--sessions is %d: use 1 to 20000", c.Sessions)
	need(!c.NoStory || c.Report == "", "--report needs the story: leave --no-story out")
	layout := plant.Layout{Dir: "any", Network: cmp.Or(c.Network, plant.DefaultNetwork), Nodes: cmp.Or(c.Nodes, plant.DefaultNodes)}
	if err := layout.Validate(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// demo is one run.
type demo struct {
	cfg     Config
	out     *screen
	plant   *plant.Plant
	traffic *traffic.Traffic
	witness *witness.Witness
	report  Report
	began   time.Time
	failed  bool      // a step of the set-up failed
	paid    []payment // while the link was cut
	family  *family
}

// Run sets the system up, tells the story, and leaves it running until ctx ends
// or, with Once, stops it.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.Validate(); err != nil {
		return exitcode.Misuse("%w", err)
	}
	d := &demo{cfg: cfg, out: newScreen(cfg.Out), began: time.Now()}
	temporary := cfg.Dir == ""
	if temporary {
		if d.cfg.Dir, err = os.MkdirTemp("", "meridian-demo-"); err != nil {
			return exitcode.Missing("make a temporary directory: %w: name one by --dir", err)
		}
	}
	if d.cfg.Witness == "" {
		d.cfg.Witness = filepath.Join(d.cfg.Dir, "witness.jsonl")
	}
	err = d.run(ctx)
	if d.plant != nil {
		err = errors.Join(err, d.stop())
	}
	if temporary && err == nil && d.plant != nil {
		err = d.plant.Remove()
	} else if temporary && d.plant != nil {
		d.out.line("data and logs are kept in %s", d.cfg.Dir)
	}
	return err
}

func (d *demo) run(ctx context.Context) error {
	if err := d.setUp(ctx); err != nil {
		return classify(err, exitcode.Unreachable)
	}
	if d.cfg.NoStory {
		d.out.line("no story was asked for")
	} else if err := d.story(ctx); err != nil {
		return classify(err, exitcode.Failed)
	}
	var broken error
	if !d.cfg.NoStory {
		broken = d.verdict()
		if err := d.report.write(d.cfg.Report); err != nil {
			return exitcode.Missing("%w", err)
		}
	}
	if d.cfg.Once || ctx.Err() != nil {
		return broken
	}
	d.tellWhere()
	<-ctx.Done()
	return broken
}

// classify gives an error without an exit status the one of what was being done.
func classify(err error, code int) error {
	var has *exitcode.Error
	switch {
	case err == nil, errors.As(err, &has):
		return err
	case errors.Is(err, context.Canceled):
		return exitcode.Check("the demo was interrupted")
	}
	return &exitcode.Error{Code: code, Err: err}
}

// stop ends traffic and system; it takes no longer than their patience.
func (d *demo) stop() error {
	var faults []error
	if d.traffic != nil {
		faults = append(faults, d.traffic.Stop())
	}
	if d.witness != nil {
		faults = append(faults, d.witness.Close())
	}
	d.out.line("stopping: nodes, centre, store")
	if err := d.plant.Close(); err != nil {
		faults = append(faults, exitcode.Check("stop: %w", err))
	}
	return errors.Join(faults...)
}

func (d *demo) tellWhere() {
	p := d.plant
	d.out.line("")
	d.out.line("The system goes on running. Ctrl-C stops it.")
	d.out.line("  centre       http://%s/v1/regions   (token: %s)", p.CentreHTTP(), p.TokenFile())
	for n := 1; n <= p.State.Nodes; n++ {
		d.out.line("  %-12s http://%s/status   RADIUS %s, %s", p.NodeID(n), p.NodeHTTP(n), p.Auth(n), p.Acct(n))
	}
	d.out.line("  data, logs   %s", p.Dir)
	d.out.line("Try:")
	d.out.line("  echo 'User-Name=user000001,User-Password=pw-user000001,Message-Authenticator=0x00' | radclient -x %s auth %s", p.Auth(1), plant.Secret)
	d.out.line("  curl -s -H \"Authorization: Bearer $(cat %s)\" http://%s/v1/accounts/acc000001/statement", p.TokenFile(), p.CentreHTTP())
	d.out.line("  meridian load --dir %s --seconds 30", p.Dir)
	d.out.line("  meridian verify --dir %s --witness %s", p.Dir, d.cfg.Witness)
}
