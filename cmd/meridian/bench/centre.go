package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"meridian/central"
	"meridian/central/cockroach"
	"meridian/central/feed"
	"meridian/cmd/meridian/plant"
	"meridian/internal/journal"
	"meridian/replication/link"
)

const (
	ingestAccounts = 500
	ingestBatch    = 1000 // entries, what the link sends at most
	ingestPrepared = 20   // batches made ahead, outside the measured time
)

// centreBench takes a region's ledger in, as the link's sink does: usage records
// and their charges by turns, settled and posted.
func centreBench(ctx context.Context, p *plant.Plant, cfg Config) ([]Result, error) {
	if err := p.Provision(ctx, ingestAccounts, func(int64) {}); err != nil {
		return nil, err
	}
	storeURL, err := plant.ReadStoreURL(p.State)
	if err != nil {
		return nil, err
	}
	db, err := cockroach.Open(ctx, storeURL, cockroach.DefaultConfig())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var ids int
	sink := central.NewServices(db, central.Deps{Now: time.Now, NewID: func() string { ids++; return "bench-" + strconv.Itoa(ids) }, Feed: feed.DefaultConfig(), Log: cfg.Logger}).Regions
	l := &ledger{}
	if err := ingest(ctx, sink, l.epoch()); err != nil {
		return nil, err
	}
	note := fmt.Sprintf("one region, batches of %d, %s, %s", ingestBatch, p.StoreKind(), machine())
	var rates, cpu []float64
	for run := range cfg.Runs + 1 { // the first one warms up
		var spent, used time.Duration
		entries := 0
		for spent < cfg.duration() {
			batches := l.batches(ingestPrepared)
			before, err := ingestCPU(p)
			if err != nil {
				return nil, err
			}
			began := time.Now()
			for _, b := range batches {
				if err := ingest(ctx, sink, b); err != nil {
					return nil, err
				}
				entries += len(b.Entries)
			}
			spent += time.Since(began)
			after, err := ingestCPU(p)
			if err != nil {
				return nil, err
			}
			used += after - before
		}
		if run > 0 {
			rates = append(rates, float64(entries)/spent.Seconds())
			cpu = append(cpu, float64(used.Microseconds())/float64(entries))
		}
	}
	return []Result{
		newResult("centre/ingest_per_s", "entries/s", note, rates),
		newResult("centre/ingest_cpu_us", "us", "an entry, the centre's services and all processes of the store; "+note, cpu),
	}, nil
}

// ingestCPU is what the services, which run in this process, and the store have
// used so far.
func ingestCPU(p *plant.Plant) (time.Duration, error) {
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return 0, fmt.Errorf("CPU of this process: %w", err)
	}
	store, err := familyCPU(p.StorePID())
	return time.Duration(self.Utime.Nano()+self.Stime.Nano()) + store, err
}

// sink is the part of the link's sink that is measured.
type sink interface {
	Ingest(ctx context.Context, region string, b link.Batch) (link.Ack, *link.Refused, error)
}

func ingest(ctx context.Context, s sink, b link.Batch) error {
	_, refused, err := s.Ingest(ctx, plant.Region, b)
	if err == nil && refused != nil {
		err = fmt.Errorf("batch from entry %d was refused: %+v", b.FirstSeq, *refused)
	}
	return err
}

// ledger makes a region's entries, chained.
type ledger struct {
	seq  uint64
	cuts [ingestAccounts + 1]uint32
	head journal.Hash
}

// epoch is the ledger's first batch: it begins the epoch.
func (l *ledger) epoch() link.Batch {
	prev := l.head
	first := l.add(journal.Entry{Kind: journal.KindEpoch, Ref: strings.Repeat("0", 2*len(prev))})
	head := l.head
	return link.Batch{Epoch: 1, FirstSeq: 1, PrevHash: prev[:], Entries: [][]byte{first}, HeadHash: head[:]}
}

func (l *ledger) add(e journal.Entry) []byte {
	l.seq++
	e.Region, e.Epoch, e.Seq, e.At = plant.Region, 1, l.seq, time.Now().UnixMicro()
	raw := e.Encode()
	l.head = journal.Chain(l.head, raw)
	return raw
}

func (l *ledger) batches(n int) []link.Batch {
	out := make([]link.Batch, n)
	for i := range out {
		prev, first := l.head, l.seq+1
		entries := make([][]byte, 0, ingestBatch)
		for len(entries) < ingestBatch {
			who := plant.Person(int(l.seq/2)%ingestAccounts + 1)
			l.cuts[who]++
			base := journal.Entry{
				Account: who.Account(), Subscription: who.Subscription(), Cut: l.cuts[who],
				Session: journal.SessionKey{NAS: "nas-1", ID: "bench-" + who.Login(), Start: 1_700_000_000},
			}
			usage, charge := base, base
			usage.Kind = journal.KindUsage
			usage.Usage = &journal.UsageRecord{Number: l.cuts[who], InOctets: 1000, OutOctets: 4000, Seconds: 5, Service: "internet", Offering: who.Offering(), OfferingVersion: 1}
			charge.Kind, charge.Bucket, charge.Unit, charge.Amount = journal.KindCharge, who.Account()+"/cash", plant.Currency, 10
			entries = append(entries, l.add(usage), l.add(charge))
		}
		head := l.head
		out[i] = link.Batch{Epoch: 1, FirstSeq: first, PrevHash: prev[:], Entries: entries, HeadHash: head[:]}
	}
	return out
}
