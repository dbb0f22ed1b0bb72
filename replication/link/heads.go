package link

import (
	"fmt"

	pb "meridian/proto/meridian/v1"
)

const (
	// MaxHeadBytes bounds one signed head.
	MaxHeadBytes = 8 << 10
	// maxHeads bounds the heads in one message, maxHeadMessages the messages that
	// wait for the Sink: a region signs a few heads in ten seconds.
	maxHeads        = 64
	maxHeadMessages = 64
)

// pumpHeads hands signed heads over to be sent.
func (s *clientSession) pumpHeads() error {
	for {
		heads, err := s.c.source.Heads(s.ctx, maxHeads)
		if s.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: heads: %w", ErrSource, err)
		}
		if len(heads) == 0 {
			continue
		}
		if len(heads) > maxHeads {
			return fmt.Errorf("%w: asked for %d heads, got %d", ErrSource, maxHeads, len(heads))
		}
		select {
		case s.headsQueue <- &pb.Up{Message: &pb.Up_Heads{Heads: &pb.Heads{Heads: heads}}}:
		case <-s.ctx.Done():
			return nil
		}
	}
}

// takeHeads queues signed heads for the Sink.
func (ss *serverSession) takeHeads(heads [][]byte) {
	longest := 0
	for _, h := range heads {
		longest = max(longest, len(h))
	}
	if len(heads) == 0 || len(heads) > maxHeads || longest > MaxHeadBytes {
		ss.refuse(&Refused{
			Code:   CodeProtocol,
			Detail: fmt.Sprintf("message of %d signed heads, the longest of %d octets; 1 to %d heads of %d octets are allowed", len(heads), longest, maxHeads, MaxHeadBytes),
			Remedy: "upgrade the region's software",
		})
		return
	}
	select {
	case ss.heads <- heads:
	default:
		ss.refuse(&Refused{
			Code: CodeProtocol, Detail: fmt.Sprintf("more than %d messages of signed heads wait", maxHeadMessages),
			Remedy: "connect again; they are sent anew",
		})
	}
}

func (ss *serverSession) passHeads() error {
	for {
		var heads [][]byte
		select {
		case heads = <-ss.heads:
		case <-ss.ctx.Done():
			return nil
		}
		refused, err := ss.srv.sink.Heads(ss.ctx, ss.region, heads)
		if ss.ctx.Err() != nil {
			return nil
		}
		if refused != nil {
			ss.refuse(refused)
			return nil
		}
		if err != nil {
			return fmt.Errorf("link: %d signed heads of region %s: %w", len(heads), ss.region, err)
		}
	}
}
