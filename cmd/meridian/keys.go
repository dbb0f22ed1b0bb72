package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
	"meridian/replication/kms"
	"meridian/replication/seal"
)

// keyFile is what the commands about a key file share.
type keyFile struct {
	path string
	kms  kms.Config
}

// keysCommand makes and changes key files. No key is ever printed.
func keysCommand() *cobra.Command {
	k := &keyFile{}
	cmd := &cobra.Command{
		Use: "keys", Short: "Make and change the files of keys that seal data at rest",
		Long: "A key file holds the data keys of a region, the same on all nodes. They are wrapped by the key-encryption key of a\n" +
			"keyring, a program or a server, as data_ring_kms in the nodes' configuration says; without one they are in clear text.\n" +
			"What the program or server is asked and answers is in the documentation of package replication/kms.",
		Example: "  meridian keys new --file keys/north.data.ring --kms-socket /run/kms.sock\n" +
			"  meridian keys add --file keys/north.data.ring --kms-socket /run/kms.sock",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := cmd.PersistentFlags()
	f.StringVar(&k.path, "file", "", "the key `file`")
	f.StringVar(&k.kms.KeyringFile, "kms-keyring", "", "key `file` whose keys wrap")
	f.StringArrayVar(&k.kms.Command, "kms-command", nil, "`program` that wraps; repeat the flag for its arguments")
	f.StringVar(&k.kms.Socket, "kms-socket", "", "`path` of the Unix socket of a server that wraps")
	f.DurationVar(&k.kms.Timeout, "kms-timeout", kms.DefaultTimeout, "how long an answer is awaited")
	cmd.MarkFlagsMutuallyExclusive("kms-keyring", "kms-command", "kms-socket")
	cmd.AddCommand(
		k.with("new", "Make a key file with one random key", seal.GenerateBy),
		k.with("add", "Add a random key, which is to seal from the next rotation on", seal.RotateBy),
		k.with("rewrap", "Wrap all keys anew by today's key-encryption key, those in clear text too", k.rewrap),
		k.drop(), k.list())
	return cmd
}

// with is a command that needs whoever wraps.
func (k *keyFile) with(use, short string, do func(context.Context, string, seal.Keeper) (*seal.Ring, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		Example: "  meridian keys " + use + " --file keys/north.data.ring --kms-keyring /media/token/kek.ring",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := k.named(); err != nil {
				return err
			}
			keeper, err := kms.New(k.kms)
			if err != nil {
				return exitcode.Misuse("%w", err)
			}
			ring, err := do(cmd.Context(), k.path, keeper)
			var exit *exitcode.Error
			if err != nil && !errors.As(err, &exit) {
				err = exitcode.Check("%w", err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: keys %v\n", k.path, ring.IDs())
			return err
		},
	}
}

func (k *keyFile) named() error {
	if k.path == "" {
		return exitcode.Misuse("name the key file by --file")
	}
	return nil
}

func (k *keyFile) rewrap(ctx context.Context, path string, keeper seal.Keeper) (*seal.Ring, error) {
	if keeper == nil {
		return nil, exitcode.Misuse("say who wraps: --kms-keyring, --kms-command or --kms-socket")
	}
	return seal.Rewrap(ctx, path, keeper)
}

func (k *keyFile) drop() *cobra.Command {
	return &cobra.Command{
		Use: "drop ID…", Short: "Remove keys that nothing needs any more", Args: cobra.MinimumNArgs(1),
		Long:    "What a removed key sealed cannot be opened: ask every node first (meridian ctl edge keys), and keep a copy as long as backups.",
		Example: "  meridian keys drop --file keys/north.data.ring 1",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := k.named(); err != nil {
				return err
			}
			var ids []uint32
			for _, a := range args {
				id, err := strconv.ParseUint(a, 10, 32)
				if err != nil {
					return exitcode.Misuse("key id %q: write a whole number", a)
				}
				ids = append(ids, uint32(id))
			}
			if err := seal.Drop(k.path, ids); err != nil {
				return exitcode.Check("%w", err)
			}
			return nil
		},
	}
}

func (k *keyFile) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the ids of a file's keys and who wraps them", Args: cobra.NoArgs,
		Example: "  meridian keys list --file keys/north.data.ring",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := k.named(); err != nil {
				return err
			}
			list, err := seal.List(k.path)
			if err != nil {
				return exitcode.Check("%w", err)
			}
			for _, l := range list {
				by := l.By
				if by == "" {
					by = "clear text"
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%d\t%s\n", l.ID, by); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
