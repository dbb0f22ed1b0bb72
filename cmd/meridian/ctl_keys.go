package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/exitcode"
	"meridian/edge"
)

func (c *ctl) reloadKeys() *cobra.Command {
	return &cobra.Command{
		Use: "reload-keys", Short: "Have every node of the region read its key file again", Args: cobra.NoArgs,
		Long: "New keys open from then on; what seals stays. Keys that the file lacks are forgotten, unless something still needs\n" +
			"them: then the file is refused by name and the keys in use stay.",
		Example: "  meridian ctl edge reload-keys --url http://127.0.1.1:8090 --token-file admin.token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.onAllNodes(cmd, func(ctx context.Context, n apiclient.Node) (edge.KeysView, error) { return n.ReloadKeys(ctx) })
		},
	}
}

func (c *ctl) rotateKey() *cobra.Command {
	return &cobra.Command{
		Use: "rotate-key", Short: "Have every node of the region seal with the newest key of its key file", Args: cobra.NoArgs,
		Long: "Add a key (meridian keys add) and copy the file to every node first. All nodes read it, then each seals with the new key\n" +
			"and seals anew what older ones sealed; traffic goes on. 'edge keys' says which is the oldest that is still needed: the\n" +
			"ones before it may be removed from the file then (meridian keys drop, reload-keys). Can be repeated when a node failed.",
		Example: "  meridian ctl edge rotate-key --url http://127.0.1.1:8090 --token-file admin.token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.onAllNodes(cmd,
				func(ctx context.Context, n apiclient.Node) (edge.KeysView, error) { return n.ReloadKeys(ctx) },
				func(ctx context.Context, n apiclient.Node) (edge.KeysView, error) {
					k, err := n.Keys(ctx)
					if err != nil || len(k.Held) > 0 && k.Held[len(k.Held)-1] == k.Sealing {
						return k, err // it was rotated before
					}
					return n.RotateKey(ctx)
				})
		},
	}
}

// onAllNodes does each step at all nodes before the next one, and prints what the
// last answered.
func (c *ctl) onAllNodes(cmd *cobra.Command, steps ...func(context.Context, apiclient.Node) (edge.KeysView, error)) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	nodes, err := client.Nodes(cmd.Context())
	if err != nil {
		return exitcode.Missing("%w", err)
	}
	var views []edge.KeysView
	for _, step := range steps {
		views = nil
		for _, n := range nodes {
			k, err := step(cmd.Context(), n)
			if err != nil {
				return c.print(cmd, "", fmt.Errorf("node %s: %w", n.ID, err))
			}
			views = append(views, k)
		}
	}
	answer, err := json.Marshal(views)
	if err != nil {
		return exitcode.Check("%w", err)
	}
	return c.print(cmd, string(answer), nil)
}
