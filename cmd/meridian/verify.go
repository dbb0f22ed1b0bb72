package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"meridian/central/embedded"
	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/audit"
	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/plant"
	"meridian/edge/heads"
	"meridian/edge/store"
	"meridian/internal/verify"
	"meridian/ops/logging"
	"meridian/replication/seal"
)

// verifyFlags are the command's flags.
type verifyFlags struct {
	storeURL, ca, token, tokenFile, dir, witness string
	edges                                        []string
	json                                         bool
}

func verifyCommand() *cobra.Command {
	var v verifyFlags
	cmd := &cobra.Command{
		Use: "verify (--dir DIR | --store-url URL --edge HOST:PORT,… --token-file FILE)", Short: "Check what must always hold (V1–V9)",
		Long: "Compares the centre's books with the ledgers and live state of the edge nodes, and with a witness of what was\n" +
			"acknowledged, and prints one line for each invariant. Exit status 1 when one is broken; the line names the\n" +
			"first offending record. With --dir it checks a demo, running or stopped.",
		Example: "  meridian verify --dir .demo --witness .demo/witness.jsonl\n" +
			"  meridian verify --store-url postgresql://meridian@127.0.0.1:26257/meridian --edge 127.0.1.1:8090,127.0.1.2:8090 --token-file admin.token --ca ca.crt",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return v.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&v.dir, "dir", "", "`directory` of a demo, running or stopped")
	f.StringVar(&v.storeURL, "store-url", "", "`URL` of the centre's database")
	f.StringSliceVar(&v.edges, "edge", nil, "`host:port` of the nodes' API, separated by commas; https://host:port of those with http_cert_file, whose authority the system or SSL_CERT_FILE names")
	f.StringVar(&v.token, "token", "", "operator's token; --token-file keeps it out of the process list")
	f.StringVar(&v.tokenFile, "token-file", "", "`file` that holds an operator's token")
	f.StringVar(&v.ca, "ca", "", "`file` with the certificate of the nodes' authority, to check who signed heads (with --dir the demo's)")
	f.StringVar(&v.witness, "witness", "", "`file` of what was acknowledged to the NAS")
	f.BoolVar(&v.json, "json", false, "print the findings as a JSON array")
	cmd.MarkFlagsOneRequired("dir", "store-url")
	cmd.MarkFlagsMutuallyExclusive("dir", "store-url")
	cmd.MarkFlagsMutuallyExclusive("dir", "edge")
	cmd.MarkFlagsMutuallyExclusive("token", "token-file")
	return cmd
}

func (v *verifyFlags) run(cmd *cobra.Command) error {
	w, err := audit.LoadWitness(v.witness)
	if err != nil {
		return exitcode.Misuse("%w", err)
	}
	log, err := logging.New(os.Stderr, logging.Config{Level: "warn", Format: logging.Text})
	if err != nil {
		return exitcode.Misuse("%w", err)
	}
	var result *audit.Result
	if v.dir != "" {
		result, err = verifyDir(cmd.Context(), v.dir, w, log)
	} else {
		result, err = v.live(cmd.Context(), w, log)
	}
	if err != nil {
		return err
	}
	return v.print(cmd, result)
}

func (v *verifyFlags) print(cmd *cobra.Command, result *audit.Result) error {
	out := cmd.OutOrStdout()
	if v.json {
		if err := json.NewEncoder(out).Encode(result.Findings); err != nil {
			return exitcode.Check("print the findings: %w", err)
		}
	} else {
		for _, line := range result.Lines() {
			fmt.Fprintln(out, line)
		}
	}
	for _, f := range result.Findings {
		if !f.OK {
			return exitcode.Check("%s is broken: %s", f.ID, f.Detail)
		}
	}
	return nil
}

func (v *verifyFlags) live(ctx context.Context, w *verify.Witness, log *slog.Logger) (*audit.Result, error) {
	token := v.token
	if v.tokenFile != "" {
		data, err := os.ReadFile(v.tokenFile)
		if err != nil {
			return nil, exitcode.Misuse("read the token: %w", err)
		}
		token = strings.TrimSpace(string(data))
	}
	if len(v.edges) > 0 && token == "" {
		return nil, exitcode.Misuse("--edge needs --token-file: give the file of an operator's token")
	}
	source := audit.Fixed(nil)
	if len(v.edges) > 0 {
		source = audit.Live(clients(v.edges, token))
	}
	return compare(ctx, v.storeURL, v.ca, source, w, log)
}

func clients(addrs []string, token string) []*apiclient.Client {
	out := make([]*apiclient.Client, len(addrs))
	for i, a := range addrs {
		out[i] = apiclient.New(a, token)
	}
	return out
}

func compare(ctx context.Context, storeURL, caFile string, source audit.Source, w *verify.Witness, log *slog.Logger) (*audit.Result, error) {
	books, err := audit.OpenBooks(ctx, storeURL, caFile)
	if err != nil {
		return nil, exitcode.Missing("%w: see that the database runs and the URL is right", err)
	}
	defer books.Close()
	result, err := books.Run(ctx, source, w, log)
	if err != nil {
		return nil, exitcode.Missing("%w", err)
	}
	return result, nil
}

// verifyDir checks a demo's directory: live when it runs, else from what lies on
// disk, with the store started for the time of the check.
func verifyDir(ctx context.Context, dir string, w *verify.Witness, log *slog.Logger) (result *audit.Result, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, exitcode.Misuse("directory: %w", err)
	}
	s, err := loadState(dir)
	if err != nil {
		return nil, err
	}
	unlock, err := plant.Lock(dir)
	if errors.Is(err, plant.ErrRunning) {
		return verifyRunning(ctx, s, w, log)
	}
	if err != nil {
		return nil, exitcode.Missing("%w", err)
	}
	defer unlock()
	ring, err := seal.LoadRing(s.DataRingFile())
	if err != nil {
		return nil, exitcode.Missing("%w", err)
	}
	reports, err := store.OpenOffline(s.NodesDir(), ring)
	if err != nil {
		return nil, exitcode.Check("the nodes' data cannot be read: %w", err)
	}
	for i, dir := range s.NodesDir() { // OpenOffline reports in the order of the directories
		if reports[i].Heads, err = heads.ReadBook(filepath.Join(dir, heads.File)); err != nil {
			return nil, exitcode.Check("node %s: %w: compare with the other nodes' books", reports[i].Node, err)
		}
	}
	storeURL, err := plant.ReadStoreURL(s)
	if err != nil {
		return nil, exitcode.Missing("%w", err)
	}
	if !s.ExternalStore {
		db, err := plant.StartStore(ctx, s, log)
		if err != nil {
			return nil, exitcode.Missing("%w", err)
		}
		defer func(db *embedded.Store) { err = errors.Join(err, db.Close()) }(db)
		storeURL = db.URL()
	}
	return compare(ctx, storeURL, s.AuthorityFile(), audit.Fixed(reports), w, log)
}

func verifyRunning(ctx context.Context, s plant.State, w *verify.Witness, log *slog.Logger) (*audit.Result, error) {
	token, err := os.ReadFile(s.TokenFile())
	if err != nil {
		return nil, exitcode.Missing("read the token: %w", err)
	}
	storeURL, err := plant.ReadStoreURL(s)
	if err != nil {
		return nil, exitcode.Missing("%w", err)
	}
	return compare(ctx, storeURL, s.AuthorityFile(), audit.Live(clients(s.NodesHTTP(), strings.TrimSpace(string(token)))), w, log)
}
