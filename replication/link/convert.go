package link

import pb "meridian/proto/meridian/v1"

func helloToWire(h Hello) *pb.Hello {
	return &pb.Hello{
		Region: h.Region, Node: h.Node, Epoch: h.Epoch, RaftTerm: h.Term, LastSeq: h.LastSeq, HeadHash: h.HeadHash,
		AckedSeq: h.AckedSeq, FeedVersion: h.FeedVersion, ProtocolVersion: h.ProtocolVersion, MinProtocolVersion: h.MinProtocolVersion,
		SoftwareVersion: h.SoftwareVersion, Cluster: h.Cluster, TakesNewest: true,
	}
}

func helloFromWire(h *pb.Hello) Hello {
	return Hello{
		Region: h.GetRegion(), Node: h.GetNode(), Epoch: h.GetEpoch(), Term: h.GetRaftTerm(), LastSeq: h.GetLastSeq(),
		HeadHash: h.GetHeadHash(), AckedSeq: h.GetAckedSeq(), FeedVersion: h.GetFeedVersion(),
		ProtocolVersion: h.GetProtocolVersion(), MinProtocolVersion: h.GetMinProtocolVersion(),
		SoftwareVersion: h.GetSoftwareVersion(), Cluster: h.GetCluster(), takesNewest: h.GetTakesNewest(),
	}
}

func batchToWire(b Batch) *pb.Batch {
	return &pb.Batch{Epoch: b.Epoch, FirstSeq: b.FirstSeq, PrevHash: b.PrevHash, Entries: b.Entries, HeadHash: b.HeadHash}
}

func batchFromWire(b *pb.Batch) Batch {
	return Batch{
		Epoch: b.GetEpoch(), FirstSeq: b.GetFirstSeq(), PrevHash: b.GetPrevHash(), Entries: b.GetEntries(), HeadHash: b.GetHeadHash(),
	}
}

func wantedToWire(w Wanted) *pb.Wanted {
	out := &pb.Wanted{Items: make([]*pb.WantedItem, len(w.Items))}
	for i, it := range w.Items {
		out.Items[i] = &pb.WantedItem{Bucket: it.Bucket, WantedTotal: it.Total, Epoch: it.Epoch}
	}
	return out
}

func wantedFromWire(w *pb.Wanted) Wanted {
	out := Wanted{Items: make([]WantedItem, len(w.GetItems()))}
	for i, it := range w.GetItems() {
		out.Items[i] = WantedItem{Bucket: it.GetBucket(), Total: it.GetWantedTotal(), Epoch: it.GetEpoch()}
	}
	return out
}

func healthToWire(h Health) *pb.Health {
	return &pb.Health{Mode: h.Mode, BacklogEntries: h.BacklogEntries, ClockUnixMicros: h.ClockUnixMicros, FeedVersion: h.FeedVersion}
}

func healthFromWire(h *pb.Health) Health {
	return Health{Mode: h.GetMode(), BacklogEntries: h.GetBacklogEntries(), ClockUnixMicros: h.GetClockUnixMicros(), FeedVersion: h.GetFeedVersion()}
}

func welcomeToWire(w Welcome) *pb.Welcome {
	return &pb.Welcome{
		Epoch: w.Epoch, EpochPrevHash: w.EpochPrevHash, CursorSeq: w.CursorSeq, CursorHash: w.CursorHash, FeedLast: w.FeedLast,
	}
}

func welcomeFromWire(w *pb.Welcome) Welcome {
	return Welcome{
		Epoch: w.GetEpoch(), EpochPrevHash: w.GetEpochPrevHash(), CursorSeq: w.GetCursorSeq(),
		CursorHash: w.GetCursorHash(), FeedLast: w.GetFeedLast(),
	}
}

func ackToWire(a Ack) *pb.Ack { return &pb.Ack{Epoch: a.Epoch, Seq: a.Seq, Hash: a.Hash} }

func ackFromWire(a *pb.Ack) Ack { return Ack{Epoch: a.GetEpoch(), Seq: a.GetSeq(), Hash: a.GetHash()} }

func rowsToWire(rows []Row) *pb.Feed {
	out := &pb.Feed{Rows: make([]*pb.Row, len(rows))}
	for i, r := range rows {
		out.Rows[i] = &pb.Row{
			Number: r.Number, Skipped: r.Skipped, EntityKind: r.EntityKind, EntityId: r.EntityID, EntityVersion: r.EntityVersion, Body: r.Body,
		}
	}
	return out
}

func rowsFromWire(f *pb.Feed) []Row {
	out := make([]Row, len(f.GetRows()))
	for i, r := range f.GetRows() {
		out[i] = Row{
			Number: r.GetNumber(), Skipped: r.GetSkipped(), EntityKind: r.GetEntityKind(), EntityID: r.GetEntityId(),
			EntityVersion: r.GetEntityVersion(), Body: r.GetBody(),
		}
	}
	return out
}

func refusedToWire(r *Refused) *pb.Refused {
	return &pb.Refused{Code: pb.RefusedCode(r.Code), Detail: r.Detail, Remedy: r.Remedy}
}

func refusedFromWire(r *pb.Refused) *Refused {
	return &Refused{Code: Code(r.GetCode()), Detail: r.GetDetail(), Remedy: r.GetRemedy()}
}
