package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"meridian/central/embedded"
)

const (
	storeDirVar = "CHAOS_STORE_DIR"
	storeURLVar = "CHAOS_STORE_URL"
)

// runStore runs the centre's database until it is asked to end (SIGTERM), or to be
// killed with all its processes (SIGUSR1).
func runStore() int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	if err := serveStore(signals); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		return 1
	}
	return 0
}

func serveStore(signals <-chan os.Signal) error {
	cfg := embedded.DefaultConfig()
	cfg.Dir, cfg.Log = os.Getenv(storeDirVar), slog.New(slog.NewTextHandler(os.Stderr, nil))
	var err error
	if cfg.Port, err = strconv.Atoi(storePort); err != nil {
		return err
	}
	s, err := embedded.Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	url := os.Getenv(storeURLVar)
	if err := os.WriteFile(url+".new", []byte(s.URL()+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.Rename(url+".new", url); err != nil {
		return err
	}
	if <-signals == syscall.SIGUSR1 {
		return s.Kill()
	}
	return s.Close()
}
