package forward

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"meridian/replication/identity"
)

// partyKey is the metadata with which every call says who calls.
const partyKey = "meridian-party"

// withParty says who calls.
func (c Config) withParty(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, partyKey, c.Party.String())
}

// partyOf reads who calls.
func partyOf(ctx context.Context) (identity.Party, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get(partyKey)
	if len(values) != 1 {
		return identity.Party{}, errors.New("forward: the call does not say which cluster and versions it is of: upgrade the calling node")
	}
	return identity.ParseParty(values[0])
}

// refusal makes ErrRefused of a refusal that came over the wire.
func refusal(err error) error {
	if s, ok := status.FromError(err); ok && s.Code() == codes.FailedPrecondition {
		return fmt.Errorf("%w: %s", ErrRefused, s.Message())
	}
	return err
}

// once tells what was not said before. It forgets all when it is full, so that it
// stays small.
type once struct {
	mu   sync.Mutex
	said map[string]bool
}

const maxSaid = 64

func (o *once) first(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[text] {
		return false
	}
	if o.said == nil || len(o.said) >= maxSaid {
		o.said = map[string]bool{}
	}
	o.said[text] = true
	return true
}
