package mutation

// Table lists the mutations. Seeds are rewritten by
//
//	go test ./internal/sim/mutation -search 500 -update
func Table() []Mutation {
	return []Mutation{
		{
			Name: "counter-down", Breaks: "a session's counters never go down", Seed: 1, Caught: "V",
			Edits: []Edit{{"edge/session/session.go", "	if !newer {\n		return old, true\n	}", "	if !newer {\n		return reported, true\n	}"}},
		},
		{
			Name: "skip-dedup", Breaks: "a report that comes again after its session was closed is found to be its", Seed: 1, Caught: "V2",
			Edits: []Edit{{"edge/fsm/accounting.go", "if session.SameStart(start, r.Start()) && (", "if sess.Open && session.SameStart(start, r.Start()) && ("}},
		},
		{
			Name: "tombstone-evicted-early", Breaks: "closed sessions are remembered for the tombstones' life", Seed: 6, Caught: "V2",
			Edits: []Edit{{"edge/fsm/timers.go", "sess.Seen+86400) + s.Policy.TombstoneLife", "sess.Seen+86400) + 2*86400"}},
		},
		{
			Name: "ack-before-commit", Breaks: "a report is acknowledged after a majority has it", Seed: 19, Caught: "V3",
			Edits: []Edit{{"internal/sim/region.go", "return command.Result{}, errCrashed // before a majority had it", "return command.Result{}, nil"}},
		},
		{
			Name: "lease-by-time-at-edge", Breaks: "no timeout takes a lease back: the edge returns nothing that it was not asked for", Seed: 1, Caught: "auditor",
			Edits: []Edit{{"edge/fsm/apply.go", "	s.Mode, s.ModeSince = c.Mode, s.Now\n", `	s.Mode, s.ModeSince = c.Mode, s.Now
	for _, b := range s.buckets.sorted() {
		if c.Mode == command.Isolated {
			b.ReclaimTo = b.X + b.Available()
			s.settle(b)
		}
	}
`}},
		},
		{
			Name: "lease-by-time-at-centre", Breaks: "what a region has and has not returned is not the centre's to grant", Seed: 1, Caught: "panic",
			Edits: []Edit{{"central/buckets/buckets.go", "	grant := min(amount, free, MaxTotal-l.Totals.G)", "	grant := min(amount, free+l.Totals.Out(), MaxTotal-l.Totals.G)"}},
		},
		{
			Name: "grant-twice", Breaks: "a payment is granted once", Seed: 1, Caught: "panic",
			Edits: []Edit{{"central/buckets/claims.go", "		if granted > 0 {\n", "		home.Totals.G += granted\n		if granted > 0 {\n"}},
		},
		{
			Name: "claim-passed-over", Breaks: "claims are served before anything is granted", Seed: 1, Caught: "auditor",
			Edits: []Edit{
				{"central/buckets/claims.go", "		n := min(free, c.Open())\n", "		n := min(free, c.Open()/2)\n"},
				{"central/buckets/buckets.go", "	free -= s.OpenClaims()\n", ""},
			},
		},
		{
			Name: "claim-not-reclaimed", Breaks: "what a claim lacks is asked back from the regions", Seed: 1, Caught: "auditor",
			Edits: []Edit{{"central/buckets/claims.go", "	lack := s.OpenClaims()\n", "	lack := 0 * s.OpenClaims()\n"}},
		},
		{
			Name: "claim-served-twice", Breaks: "what serves a claim is debited once", Seed: 1, Caught: "V1",
			Edits: []Edit{{"central/buckets/claims.go", "		s.Debited += n\n", "		s.Debited += n\n		s.Credited += n\n"}},
		},
		{
			Name: "reclaim-ignores-holds", Breaks: "the edge returns what is neither held nor used", Seed: 1, Caught: "panic",
			Edits: []Edit{{"edge/balance/balance.go", "max(min(b.ReclaimTo-b.X, b.Available()), 0)", "max(min(b.ReclaimTo-b.X, b.Available()+b.H), 0)"}},
		},
		{
			Name: "reclaim-unrecorded", Breaks: "what is returned is an entry", Seed: 1, Caught: "V1",
			Edits: []Edit{{"edge/fsm/reserve.go", "Kind: journal.KindReturned, Account: b.Account, Bucket: b.ID, Unit: b.Unit, Amount: n}", "Kind: journal.KindReturned, Account: b.Account, Bucket: b.ID, Unit: b.Unit, Amount: n / 2}"}},
		},
		{
			Name: "taken-in-regranted", Breaks: "what a region returned is granted again, and nothing else that it reports", Seed: 1, Caught: "V1",
			Edits: []Edit{{"central/buckets/buckets.go", "money.Amount(s.Leases[i].Totals.X))\n		}", "money.Amount(s.Leases[i].Totals.X+s.Leases[i].Totals.T+s.Leases[i].Totals.B))\n		}"}},
		},
		{
			Name: "spent-regranted", Breaks: "what a region spent or took in is never granted again", Seed: 1, Caught: "V1",
			Edits: []Edit{{"central/buckets/buckets.go", "money.Amount(s.Leases[i].Totals.X))\n		}", "money.Amount(s.Leases[i].Totals.X+s.Leases[i].Totals.S))\n		}"}},
		},
		{
			Name: "hold-forgotten-at-close", Breaks: "a session's hold is released when it ends", Seed: 1, Caught: "auditor",
			Edits: []Edit{{"edge/fsm/accounting.go", "	s.releaseHold(&sess.Hold, sess.Account)\n", ""}},
		},
		{
			Name: "hold-captured-twice", Breaks: "what was held for a session is captured once", Seed: 1, Caught: "panic",
			Edits: []Edit{{"edge/fsm/charge.go", "		h.Amount -= n\n", ""}},
		},
		{
			Name: "hold-forgotten-at-expiry", Breaks: "a reservation that no Start adopts gives back what it held", Seed: 1, Caught: "auditor",
			Edits: []Edit{{"edge/fsm/reserve.go", "		s.releaseHold(&r.Hold, sub.Account)\n	}\n}", "	}\n}"}},
		},
		{
			Name: "cursor-lost", Breaks: "the cursor moves in the transaction that takes the entries", Seed: 1, Caught: "auditor",
			Edits: []Edit{{"central/regions/ingest.go", "r.Seq, a.last(), a.hashAt(a.last())); err != nil {", "r.Seq, r.Seq, r.Hash); err != nil {"}},
		},
		{
			Name: "batch-taken-twice", Breaks: "entries below the cursor are compared and not taken again", Seed: 3, Caught: "auditor",
			Edits: []Edit{{"central/regions/ingest.go", "	skip := r.Seq + 1 - a.first\n", "	skip := uint64(0)\n"}},
		},
		{
			Name: "cut-lost-at-failover", Breaks: "what is not cut is in the snapshot", Seed: 1, Caught: "V",
			Edits: []Edit{{"edge/fsm/dump_sessions.go", "int64{sess.Seen, sess.Uncut, ", "int64{sess.Seen, 0, "}},
		},
		{
			Name: "pending-lost-at-failover", Breaks: "what is charged and not cut is in the snapshot", Seed: 1, Caught: "V",
			Edits: []Edit{{"edge/fsm/dump_sessions.go", "appendParts(w, sess.Pending)", "appendParts(w, nil)"}},
		},
		{
			Name: "effect-lost-at-failover", Breaks: "a queued Disconnect outlives the leader", Seed: 4, Caught: "V6",
			Edits: []Edit{{"edge/fsm/dump_sessions.go", "		s.effects[e.ID] = e\n", "		_ = e\n"}},
		},
		{
			Name: "period-lost-at-failover", Breaks: "a period is paid once", Seed: 1, Caught: "V6",
			Edits: []Edit{{"edge/fsm/dump.go", "	sub.Contract.Append(w)\n", "	(&contract.State{Activated: sub.Contract.Activated, Bought: sub.Contract.Bought}).Append(w)\n"}},
		},
		{
			Name: "time-by-one-clock", Breaks: "one wrong clock moves no region's time", Seed: 4, Caught: "early",
			Edits: []Edit{{"edge/fsm/apply.go", "clocks[(len(clocks)-1)/2])", "clocks[len(clocks)-1])"}},
		},
		{
			Name: "time-stands-after-failover", Breaks: "region time goes on when a clock that was behind is right again", Seed: 64, Caught: "auditor",
			Edits: []Edit{{"edge/fsm/clock.go", "max(median, now), passed", "median, passed"}},
		},
		{
			Name: "feed-number-skipped", Breaks: "the next number of the feed is applied and no other", Seed: 7, Caught: "auditor",
			Edits: []Edit{
				{"edge/fsm/feed.go", "row.Number <= row.Skipped || row.Number-row.Skipped != s.FeedVersion+1 || s.Epoch == 0", "s.Epoch == 0"},
			},
		},
		{
			Name: "order-run-twice", Breaks: "an order that waited is carried out once", Seed: 1, Caught: "V9",
			Edits: []Edit{{"edge/fsm/timers.go", "			delete(s.waiting, t.id)\n", ""}},
		},
		{
			Name: "slot-lost", Breaks: "a session takes the slot that its login reserved, and gives it back", Seed: 1, Caught: "auditor",
			Edits: []Edit{{"edge/fsm/reserve.go", "	delete(s.reservations, r.Key)\n	sub := s.subscriptions.get(r.Subscription)\n	sub.reserved--\n", "	delete(s.reservations, r.Key)\n	sub := s.subscriptions.get(r.Subscription)\n"}},
		},
		{
			Name: "overrun-unrecorded", Breaks: "usage that nothing can pay is priced in full and recorded", Seed: 1, Caught: "V2",
			Edits: []Edit{{"edge/fsm/till.go", "		s.overrun(sess, o, o.meters[i], r.Unpaid, r.Overrun)\n", ""}},
		},
		{
			Name: "rounding-lost-at-cut", Breaks: "a session's price is rounded once, not at each cut", Seed: 1, Caught: "auditor",
			Edits: []Edit{{"edge/fsm/rated.go", "		p.before, p.drawn, p.uses", "		p.tally.Rem = 0\n		p.before, p.drawn, p.uses"}},
		},
		{
			Name: "borrowed-without-limit", Breaks: "B − P never exceeds the allowance", Seed: 1, Caught: "V4",
			Edits: []Edit{
				{"edge/balance/balance.go", "max(min(want, b.Allowance-b.Debt()), 0)", "want"},
				{"edge/fsm/till.go", "loan := b.Allowance - b.Debt(); loan > 0", "loan := b.Allowance; loan > 0"},
			},
		},
		{
			Name: "borrowed-unrecorded", Breaks: "what is borrowed is an entry", Seed: 1, Caught: "V1",
			Edits: []Edit{{"edge/fsm/charge.go", "Kind: journal.KindBorrowed, Account: b.Account, Bucket: b.ID, Unit: b.Unit, Amount: n", "Kind: journal.KindBorrowed, Account: b.Account, Bucket: b.ID, Unit: b.Unit, Amount: n / 2"}},
		},
		{
			Name: "repayment-forgotten", Breaks: "new credit repays what was borrowed first", Seed: 1, Caught: "auditor",
			Edits: []Edit{{"edge/fsm/reserve.go", "	if n := b.Repay(); n > 0 {", "	if n := 0 * b.Debt(); n > 0 {"}},
		},
		{
			Name: "order-of-ended-epoch", Breaks: "an order is carried out in the epoch that it was placed in", World: Disks, Seed: 1, Caught: "V9",
			Edits: []Edit{{"edge/fsm/feed.go", "|| max(o.Epoch, 1) != s.Epoch {", "|| false {"}},
		},
		{
			Name: "new-epoch-without-suspense", Breaks: "what an ended epoch had is in suspense until two persons release it", World: Disks, Seed: 44, Caught: "V",
			Edits: []Edit{{"central/buckets/buckets.go", "\t\t\tsum, err = money.Add(sum, money.Amount(s.Leases[i].Released))\n", "\t\t\tsum, err = money.Add(sum, money.Amount(s.Leases[i].Released+s.Leases[i].Suspense()))\n"}},
		},
		{
			Name: "charged-periods-forgotten", Breaks: "a new epoch charges no period that the one before charged", World: Disks, Seed: 1, Caught: "paid for a day",
			Edits: []Edit{{"central/regions/opening.go", "Charged: fees[sub.ID], Given", "Charged: fees[\"\"], Given"}},
		},
		{
			Name: "debt-of-ended-epoch-forgotten", Breaks: "what an ended epoch had lent is owed", World: Disks, Seed: 4, Caught: "auditor",
			Edits: []Edit{{"central/regions/closing.go", "\tif !ok {\n\t\treturn nil, nil", "\tif ok || !ok {\n\t\treturn nil, nil"}},
		},
		{
			Name: "session-of-ended-epoch-charged", Breaks: "a session that began before the epoch serves is not charged from its first octet again", World: Disks, Seed: 1, Caught: "V",
			Edits: []Edit{{"edge/fsm/epoch.go", "\treturn r.Start() < s.Since", "\treturn r.Start() < 0"}},
		},
		{
			Name: "lease-rows-begin-anew", Breaks: "a lease's rows go on in version over epochs", World: Disks, Seed: 1, Caught: "auditor",
			Edits: []Edit{{"central/buckets/buckets.go", "\t\t\tl.FeedVersion = max(l.FeedVersion, s.Leases[i].FeedVersion)", "\t\t\tl.FeedVersion = 0"}},
		},
		{
			Name: "parted-ledger-not-fenced", Breaks: "a ledger that parted from the accepted one spends nothing", World: Disks, Seed: 1, Caught: "auditor",
			Edits: []Edit{{"edge/uplink/uplink.go", "		u.behind = u.parted(u.hello.Epoch)", "		u.behind = nil"}, {"edge/uplink/uplink.go", "		u.behind = u.parted(epoch)", "		u.behind = nil"}},
		},
		{
			Name: "serves-before-it-has-all", Breaks: "a new epoch serves nobody before it has each subscription's service", World: Disks, Seed: 1, Caught: "paid for a day",
			Edits: []Edit{{"edge/fsm/epoch.go", "\tif s.expected == s.services+1 {", "\tif s.expected != 0 || s.services > 0 {"}},
		},
	}
}
