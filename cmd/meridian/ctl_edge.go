package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/exitcode"
	"meridian/edge"
)

// memberCommands look after the members of a region and its policy. Any node may be
// asked: changes are made at the one that leads.
func (c *ctl) memberCommands() []*cobra.Command {
	return []*cobra.Command{
		c.show("members", "List the region's members", "edge members --url http://127.0.1.1:8090", 0, "/v1/members"),
		c.addMember(), c.removeMember(), c.replaceMember(), c.transfer(),
		c.show("policy", "Show the region's policy", "edge policy --url http://127.0.1.1:8090", 0, "/v1/policy"),
		c.setPolicy(), c.confirmTime(),
		c.show("keys", "Show which data keys a node uses, and the oldest that it still needs", "edge keys --url http://127.0.1.1:8090", 0, "/v1/keys"),
		c.reloadKeys(), c.rotateKey(),
	}
}

// waitFlag bounds how long a command waits for a member to catch up.
func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", 10*time.Minute, "how long to wait until the node has caught up and votes")
}

func (c *ctl) addMember() *cobra.Command {
	var raft string
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "add NODE", Short: "Add a node that waits to join", Args: cobra.ExactArgs(1),
		Long: "The node gets the log and the state, and votes once it has caught up. Start it before, with the same command line as\n" +
			"all nodes and one of the region's nodes among its peers.",
		Example: "  meridian ctl edge add north-4 --url http://127.0.1.1:8090 --token-file admin.token",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.members(cmd, wait, func(ctx context.Context, client *apiclient.Client) error { return add(ctx, client, args[0], raft) })
		},
	}
	cmd.Flags().StringVar(&raft, "raft", "", "its raft `address`, when gossip does not know the node")
	waitFlag(cmd, &wait)
	return cmd
}

func (c *ctl) removeMember() *cobra.Command {
	return &cobra.Command{
		Use: "remove NODE", Short: "Take a node out of the region", Args: cobra.ExactArgs(1),
		Long: "Refused when the nodes that would be left are no majority that answers. Stop the node afterwards; its directory is of no\n" +
			"use any more.",
		Example: "  meridian ctl edge remove north-2 --url http://127.0.1.1:8090 --token-file admin.token",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.members(cmd, time.Minute, func(ctx context.Context, client *apiclient.Client) error { return remove(ctx, client, args[0]) })
		},
	}
}

func (c *ctl) replaceMember() *cobra.Command {
	var raft string
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "replace OLD NEW", Short: "Put a node in the place of one that is lost", Args: cobra.ExactArgs(2),
		Long: "Adds the new node, waits until it votes, and removes the old one. With the same name twice, for a node whose disk was\n" +
			"lost, it is removed first: start it between, when asked.",
		Example: "  meridian ctl edge replace north-2 north-4 --url http://127.0.1.1:8090 --token-file admin.token",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.members(cmd, wait, func(ctx context.Context, client *apiclient.Client) error {
				if args[0] != args[1] {
					if err := add(ctx, client, args[1], raft); err != nil {
						return err
					}
					return remove(ctx, client, args[0])
				}
				if err := remove(ctx, client, args[0]); err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s is removed: start it with an empty directory; it is added when it is seen\n", args[0])
				return add(ctx, client, args[1], raft)
			})
		},
	}
	cmd.Flags().StringVar(&raft, "raft", "", "the new node's raft `address`, when gossip does not know it")
	waitFlag(cmd, &wait)
	return cmd
}

func (c *ctl) transfer() *cobra.Command {
	return &cobra.Command{
		Use: "transfer [NODE]", Short: "Hand leadership over, to a node or to the one that has the most", Args: cobra.MaximumNArgs(1),
		Example: "  meridian ctl edge transfer north-2 --url http://127.0.1.1:8090 --token-file admin.token",
		RunE: func(cmd *cobra.Command, args []string) error {
			to := ""
			if len(args) == 1 {
				to = args[0]
			}
			return c.members(cmd, time.Minute, func(ctx context.Context, client *apiclient.Client) error { return client.Transfer(ctx, to) })
		},
	}
}

func (c *ctl) confirmTime() *cobra.Command {
	return &cobra.Command{
		Use: "confirm-time", Short: "Let region time follow the nodes' clocks, however far ahead they are", Args: cobra.NoArgs,
		Long: "Region time stands still when the clocks of a majority run ahead of the time that passed (alarm clock_jump). Look at the\n" +
			"clocks first: what is due by then is charged at once, and region time never goes back.",
		Example: "  meridian ctl edge confirm-time --url http://127.0.1.1:8090 --token-file admin.token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.members(cmd, time.Minute, func(ctx context.Context, client *apiclient.Client) error { return client.ConfirmTime(ctx) })
		},
	}
}

func (c *ctl) setPolicy() *cobra.Command {
	var fields string
	cmd := &cobra.Command{
		Use: "set-policy --fields JSON", Short: "Change fields of the region's policy", Args: cobra.NoArgs,
		Long:    "The fields are those that 'policy' shows; times are seconds. What is not named stays.",
		Example: `  meridian ctl edge set-policy --fields '{"MaxBacklogAge":5184000}' --url http://127.0.1.1:8090 --token-file admin.token`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			answer, err := client.SetPolicy(cmd.Context(), []byte(fields))
			return c.print(cmd, answer, err)
		},
	}
	cmd.Flags().StringVar(&fields, "fields", "", "a JSON `object`")
	mustMark(cmd, "fields")
	return cmd
}

// members makes a change, and prints who belongs to the region then.
func (c *ctl) members(cmd *cobra.Command, wait time.Duration, change func(context.Context, *apiclient.Client) error) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), wait)
	defer cancel()
	if err := change(ctx, client); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return exitcode.Check("not within %s: %w", wait, err)
		}
		return c.print(cmd, "", err)
	}
	m, err := client.Members(cmd.Context())
	if err != nil {
		return c.print(cmd, "", err)
	}
	answer, err := json.Marshal(m)
	if err != nil {
		return exitcode.Check("%w", err)
	}
	return c.print(cmd, string(answer), nil)
}

// passes tells whether a refusal ends by itself: the lead is changing, another change
// is under way, or the node is not seen yet.
func passes(err error) bool {
	var e *apiclient.APIError
	if !errors.As(err, &e) {
		return true // nobody answered
	}
	switch e.Code {
	case "not_leader", "unavailable", "busy", "not_found":
		return true
	}
	return false
}

// until repeats a change while its refusal passes by itself.
func until(ctx context.Context, try func(context.Context) error) error {
	var final error
	err := apiclient.Await(ctx, func(ctx context.Context) error {
		if final = try(ctx); final != nil && passes(final) {
			return final
		}
		return nil
	})
	return errors.Join(final, err)
}

func add(ctx context.Context, client *apiclient.Client, id, raft string) error {
	if err := until(ctx, func(ctx context.Context) error { return client.AddMember(ctx, id, raft) }); err != nil {
		return err
	}
	return apiclient.Await(ctx, func(ctx context.Context) error {
		m, err := client.Members(ctx)
		if err != nil {
			return err
		}
		if has(m, func(o edge.Member) bool { return o.ID == id && o.Voter }) {
			return nil
		}
		return fmt.Errorf("node %s is catching up", id)
	})
}

// remove succeeds also when the try before, whose answer was lost, did it.
func remove(ctx context.Context, client *apiclient.Client, id string) error {
	m, err := client.Members(ctx)
	if err == nil && !has(m, func(o edge.Member) bool { return o.ID == id }) {
		return exitcode.Check("node %s is no member: see meridian ctl edge members", id)
	}
	return until(ctx, func(ctx context.Context) error {
		err := client.RemoveMember(ctx, id)
		if apiclient.Refused(err, 404) {
			return nil
		}
		return err
	})
}

func has(m edge.Membership, which func(edge.Member) bool) bool {
	for _, o := range m.Members {
		if which(o) {
			return true
		}
	}
	return false
}
