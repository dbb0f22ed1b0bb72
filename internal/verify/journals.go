package verify

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// binCount is over how many bins the digests of journals are summed. Journals
// come by source and entries by number; equal sums show that both name the same
// set without keeping either.
const binCount = 4096

// maxTraced bounds how many differing bins are walked again to name a record.
const maxTraced = 16

// bin sums the digests of journals, less those that the entries ask for.
type bin struct{ count, hi, lo uint64 }

func (b *bin) add(d [32]byte) {
	b.count++
	b.hi += binary.LittleEndian.Uint64(d[:8])
	b.lo += binary.LittleEndian.Uint64(d[8:16])
}

func (b *bin) sub(d [32]byte) {
	b.count--
	b.hi -= binary.LittleEndian.Uint64(d[:8])
	b.lo -= binary.LittleEndian.Uint64(d[8:16])
}

func binOf(source string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(source))
	return h.Sum32() % binCount
}

// digest hashes a journal's source and postings, in an order of their own.
func digest(source string, postings []journal.Posting) [32]byte {
	sorted := slices.Clone(postings)
	slices.SortFunc(sorted, func(a, b journal.Posting) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Amount, b.Amount))
	})
	var buf []byte
	text := func(s string) {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	text(source)
	for _, p := range sorted {
		text(p.Account)
		text(string(p.Unit))
		buf = binary.AppendVarint(buf, p.Amount)
	}
	return sha256.Sum256(buf)
}

const entryPrefix = "entry/"

func sourceOf(region string, epoch, seq uint64) string {
	return fmt.Sprintf("%s%s/%d/%d", entryPrefix, region, epoch, seq)
}

// postingsOf are the postings that an entry must have, by this package's own
// chart; nil when it posts nothing. In suspense the region's suspense account
// stands for every account of the subscriber.
func postingsOf(e *journal.Entry, region string, suspended bool) []journal.Posting {
	if e.Amount == 0 || e.Unit == "" {
		return nil
	}
	own := func(code string) string {
		switch {
		case suspended:
			return journal.Suspense + region
		case strings.HasSuffix(code, ":"):
			return code + e.Account
		}
		return code
	}
	var debit, credit string
	prepaid := own(journal.CustomerPrepaid)
	switch e.Kind {
	case journal.KindCharge:
		debit, credit = prepaid, journal.RevenueUsage
	case journal.KindRecurring:
		debit, credit = prepaid, journal.RevenueRecurring
	case journal.KindOneTime:
		debit, credit = prepaid, journal.RevenueOneTime
	case journal.KindCredit:
		debit, credit = journal.RevenueRecurring, prepaid
	case journal.KindOwed:
		debit, credit = own(journal.Receivable), journal.RevenueRecurring
	case journal.KindOrderDebit:
		debit, credit = prepaid, journal.RevenueOther
	case journal.KindTaken:
		debit, credit = journal.RegionCash+region, prepaid
	case journal.KindGiven:
		debit, credit = journal.Allowances, prepaid
	case journal.KindRefund:
		debit, credit = journal.RevenueUsage, prepaid
	case journal.KindExpired:
		debit, credit = prepaid, journal.RevenueExpired
	case journal.KindBorrowed:
		debit, credit = own(journal.OfflineAllowance), prepaid
	case journal.KindRepaid:
		debit, credit = prepaid, own(journal.OfflineAllowance)
	case journal.KindOverrun, journal.KindReversed:
		debit, credit = own(journal.Receivable), journal.RevenueUsage
		if e.Detail == string(tariff.Absorbed) {
			debit = own(journal.OverrunAbsorbed)
		}
		if e.Kind == journal.KindReversed {
			debit, credit = credit, debit
		}
	default:
		return nil
	}
	return []journal.Posting{{Account: debit, Unit: e.Unit, Amount: e.Amount}, {Account: credit, Unit: e.Unit, Amount: -e.Amount}}
}

// central is what was credited and debited at the centre for an (account, unit).
type central struct{ credited, debited wide }

// readJournals sums the books a second time.
func (a *audit) readJournals() {
	last := ""
	err := a.centre.Journals(a.ctx, func(j journal.Journal) error {
		a.v7.checked++
		if j.Source == last {
			a.v7.fail("journal %s stands twice: what it says is booked twice", j.Source)
		}
		last = j.Source
		a.balanced(&j)
		a.readClaim(&j)
		fromEntry := strings.HasPrefix(j.Source, entryPrefix)
		if fromEntry {
			a.bins[binOf(j.Source)].add(digest(j.Source, j.Postings))
		}
		for _, p := range j.Postings {
			k := BalanceKey{p.Account, p.Unit}
			a.books[k] = a.books[k].plus(p.Amount)
			if fromEntry && strings.HasPrefix(p.Account, journal.Suspense) {
				a.suspended[j.Source] = true
			}
			if account, ok := strings.CutPrefix(p.Account, journal.CustomerPrepaid); ok && !fromEntry {
				a.creditCentral(BalanceKey{account, p.Unit}, p.Amount)
			}
		}
		return nil
	})
	a.unread("the journals", err, &a.v1, &a.v7)
}

// creditCentral takes a posting to what is owed to a subscriber: a credit
// (negative) is money credited to the account's bucket.
func (a *audit) creditCentral(k BalanceKey, amount int64) {
	c := a.central[k]
	if c == nil {
		c = &central{}
		a.central[k] = c
	}
	if amount < 0 {
		c.credited = c.credited.minus(wideOf(amount))
	} else {
		c.debited = c.debited.plus(amount)
	}
}

func (a *audit) balanced(j *journal.Journal) {
	sums := map[journal.Unit]wide{}
	for i, p := range j.Postings {
		if p.Account == "" || p.Unit == "" {
			a.v7.fail("journal %s: posting %d names no account or unit", j.Source, i)
		}
		sums[p.Unit] = sums[p.Unit].plus(p.Amount)
	}
	for _, unit := range sortedKeys(sums) {
		if sum := sums[unit]; !sum.isZero() {
			a.v7.fail("journal %s: %s sums to %s instead of 0: value was made or lost", j.Source, unit, sum)
		}
	}
}

// checkBooks compares the balance rows with the postings, the trial balance with
// zero, and the journals with the entries.
func (a *audit) checkBooks() {
	if a.v7.checked == 0 && a.v5.checked == 0 {
		a.v7.note("the centre has no journals and no entries")
	}
	rows, err := a.centre.LedgerBalances(a.ctx)
	if !a.unread("the balances", err, &a.v7) {
		a.checkBalances(rows)
	}
	differ := map[uint32]bool{}
	for i := range a.bins {
		if a.bins[i] != (bin{}) && len(differ) < maxTraced {
			differ[uint32(i)] = true
		}
	}
	if len(differ) > 0 {
		a.traceJournals(differ)
	}
}

func (a *audit) checkBalances(rows map[BalanceKey]int64) {
	keys := make([]BalanceKey, 0, len(rows))
	trial := map[journal.Unit]wide{}
	for k, amount := range rows {
		keys = append(keys, k)
		trial[k.Unit] = trial[k.Unit].plus(amount)
	}
	for k := range a.books {
		if _, ok := rows[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareBalance)
	for _, k := range keys {
		if want, got := a.books[k], wideOf(rows[k]); want != got {
			a.v7.fail("balance of %s in %s is %s, its postings sum to %s: off by %s", k.Account, k.Unit, got, want, got.minus(want))
		}
	}
	for _, unit := range sortedKeys(trial) {
		if sum := trial[unit]; !sum.isZero() {
			a.v7.fail("trial balance in %s is %s instead of 0", unit, sum)
		}
	}
}

func compareBalance(x, y BalanceKey) int {
	return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Unit, y.Unit))
}

// traceJournals walks journals and entries once more and names the records of
// the bins that differ.
func (a *audit) traceJournals(differ map[uint32]bool) {
	journals := map[string][]journal.Posting{}
	err := a.centre.Journals(a.ctx, func(j journal.Journal) error {
		if strings.HasPrefix(j.Source, entryPrefix) && differ[binOf(j.Source)] {
			journals[j.Source] = append(journals[j.Source], j.Postings...)
		}
		return nil
	})
	if a.unread("the journals again", err, &a.v7) {
		return
	}
	before := a.v7.faults
	for i := range a.regions {
		name := a.regions[i].Name
		err := a.centre.Entries(a.ctx, name, func(epoch, seq uint64, raw []byte, _ journal.Hash) error {
			source := sourceOf(name, epoch, seq)
			if differ[binOf(source)] {
				a.traceEntry(source, name, raw, journals)
			}
			return nil
		})
		if a.unread("the entries of "+name+" again", err, &a.v7) {
			return
		}
	}
	for _, source := range sortedKeys(journals) {
		a.v7.fail("journal %s is of no entry that the ledger holds and that posts: %s", source, describe(journals[source]))
	}
	if a.v7.faults == before {
		a.v7.fail("journals and entries differ in the set of what is posted: an entry is counted more than once")
	}
}

func (a *audit) traceEntry(source, region string, raw []byte, journals map[string][]journal.Posting) {
	e, err := journal.DecodeEntry(raw)
	if err != nil {
		return
	}
	want := postingsOf(&e, region, a.suspended[source])
	got, found := journals[source]
	switch {
	case want == nil:
		return
	case !found:
		a.v7.fail("%s (%s of %d %s) has no journal of its own: it is missing from the books", source, e.Kind, e.Amount, e.Unit)
	case digest(source, want) != digest(source, got):
		a.v7.fail("%s posts %s, its journal says %s", source, describe(want), describe(got))
	}
	delete(journals, source)
}

func describe(postings []journal.Posting) string {
	parts := make([]string, 0, len(postings))
	for _, p := range postings {
		parts = append(parts, fmt.Sprintf("%+d %s to %s", p.Amount, p.Unit, p.Account))
	}
	return strings.Join(parts, ", ")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
