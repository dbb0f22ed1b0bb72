package link

import "context"

// perRegion is a Sink of two.
type perRegion struct{ north, south *books }

func (p *perRegion) of(region string) *books {
	if region == "north" {
		return p.north
	}
	return p.south
}

func (p *perRegion) Hello(ctx context.Context, r string, h Hello) (Welcome, *Refused, error) {
	return p.of(r).Hello(ctx, r, h)
}

func (p *perRegion) Ingest(ctx context.Context, r string, b Batch) (Ack, *Refused, error) {
	return p.of(r).Ingest(ctx, r, b)
}

func (p *perRegion) Wanted(ctx context.Context, r string, w Wanted) error {
	return p.of(r).Wanted(ctx, r, w)
}
func (p *perRegion) Heads(ctx context.Context, r string, heads [][]byte) (*Refused, error) {
	return p.of(r).Heads(ctx, r, heads)
}
func (p *perRegion) Health(ctx context.Context, r string, h Health) { p.of(r).Health(ctx, r, h) }
func (p *perRegion) FeedSignal(r string) <-chan struct{}            { return p.of(r).FeedSignal(r) }

func (p *perRegion) FeedNewest(ctx context.Context, r string, after uint64, most int) ([]Row, error) {
	return p.of(r).FeedNewest(ctx, r, after, most)
}

func (p *perRegion) Feed(ctx context.Context, r string, after uint64, most int) ([]Row, error) {
	return p.of(r).Feed(ctx, r, after, most)
}
