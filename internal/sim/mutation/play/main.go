// Play runs simulated seeds and says what the first one that fails says. Mutation
// builds it with a mistake in the product's rules; without one it says nothing.
//
//	play FIRST LAST WORDS [disks]
//
// A failure that does not say WORDS is passed over. Exit status 1: a seed failed, its
// number and what it says are printed. It owns no rule and no check.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"meridian/internal/sim"
	"meridian/internal/sim/mutation"
)

func main() {
	if len(os.Args) != 4 && len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "play: want FIRST LAST WORDS [disks], e.g. play 1 500 V2")
		os.Exit(2)
	}
	first, errFirst := strconv.ParseUint(os.Args[1], 10, 64)
	last, errLast := strconv.ParseUint(os.Args[2], 10, 64)
	if errFirst != nil || errLast != nil {
		fmt.Fprintf(os.Stderr, "play: seeds %q to %q: want whole numbers\n", os.Args[1], os.Args[2])
		os.Exit(2)
	}
	world := sim.Default
	if len(os.Args) == 5 && os.Args[4] == mutation.Disks {
		world = sim.Calamities
	}
	for seed := first; seed <= last; seed++ {
		if _, err := sim.Run(world(seed)); err != nil && strings.Contains(err.Error(), os.Args[3]) {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}
