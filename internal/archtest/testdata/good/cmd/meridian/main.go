// Meridian is the one binary.
package main

import (
	"github.com/spf13/cobra"

	"meridian/central"
	"meridian/edge"
)

var _, _, _ = cobra.Command{}, central.New, edge.New

func main() {}
