package verify

import (
	"strings"

	"meridian/internal/journal"
)

// claimPrefix begins the source of a claim's journals, "claim/<id>/<served so far>":
// 0 is what is owed at once, the others are its instalments.
const claimPrefix = "claim/"

// claimed is what the journals say of a claim.
type claimed struct{ owed, served wide }

// readClaim takes a journal's postings to receivables if it is of a claim.
func (a *audit) readClaim(j *journal.Journal) {
	rest, ok := strings.CutPrefix(j.Source, claimPrefix)
	cut := strings.LastIndexByte(rest, '/')
	if !ok || cut < 0 {
		return
	}
	id, instalment := rest[:cut], rest[cut+1:] != "0"
	c := a.claims[id]
	if c == nil {
		c = &claimed{}
		a.claims[id] = c
	}
	for _, p := range j.Postings {
		switch {
		case !strings.HasPrefix(p.Account, journal.Receivable):
		case instalment:
			c.served = c.served.minus(wideOf(p.Amount))
		default:
			c.owed = c.owed.plus(p.Amount)
		}
	}
}

// checkClaims holds a bucket's claims against the journals: each is owed whole, served
// once, and before anything is granted.
func (a *audit) checkClaims(b *CentreBucket, unleased wide) {
	open := wide{}
	for _, c := range b.Claims {
		a.claimCount++
		if c.Served < 0 || c.Served > c.Amount {
			a.v1.fail("claim %s on bucket %s: %d of %d are served", c.ID, b.ID, c.Served, c.Amount)
		}
		open = open.plus(c.Amount).minus(wideOf(c.Served))
		j := a.claims[c.ID]
		if j == nil {
			j = &claimed{}
		}
		delete(a.claims, c.ID)
		if j.owed != wideOf(c.Amount) || j.served != wideOf(c.Served) {
			a.v1.fail("claim %s on bucket %s says %d owed and %d served, its journals %s and %s", c.ID, b.ID, c.Amount, c.Served, j.owed, j.served)
		}
	}
	if open != (wide{}) && unleased != (wide{}) {
		a.v1.fail("bucket %s: claims lack %s and %s are unleased: claims are served before anything else", b.ID, open, unleased)
	}
	a.claimOpen = a.claimOpen.sum(open)
}

// strayClaims finds journals of claims that the centre has no row of.
func (a *audit) strayClaims() {
	for _, id := range sortedKeys(a.claims) {
		a.v1.fail("claim %s: journals say %s owed and %s served, the centre has no row of it", id, a.claims[id].owed, a.claims[id].served)
	}
}
