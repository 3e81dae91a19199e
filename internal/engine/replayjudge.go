package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/plan"
)

// judgeReplay sends a record through the decoder and the views that refused it,
// into a partial of its own. Its window decides whether it is in time: one that
// is open takes it, a closed one as long as it can be corrected. It moves no
// watermark.
func (r *run) judgeReplay(x *Replay) *replayJudgement {
	j := &replayJudgement{replay: x, outcome: ReplayOutcome{ID: x.ID, Recorded: x.Recorded}}
	if !x.Stands {
		j.outcome.State, j.outcome.Reason = ReplayVoid, "the ledger has no such row: the record counts by itself"
		return j
	}
	now := r.clock.Now()
	if x.Recorded {
		now = obeyedNow
	}
	w := r.replays.worker
	w.part = newPartial(r.plan)
	j.part = w.part
	j.part.takes = map[ViewID][]int64{}
	part := &partition{table: x.Table, partition: x.Partition, next: x.Offset, greatest: column.NegativeInfinity, repeats: newRepeats()}
	record := Record{Offset: x.Offset, Timestamp: x.Timestamp, Key: x.Key, Value: x.Payload, Headers: x.Headers}
	d := w.tables[x.Table].decode(part, &Chunk{Partition: r.key(part), Records: []Record{record}, Next: x.Offset + 1, End: -1}, now, nil)
	switch {
	case len(d.refused) > 0:
		j.refuse(&d.refused[0])
		return j
	case len(d.good) == 0:
		j.outcome.State, j.outcome.Reason = ReplayRefused, "it has no payload"
		return j
	}
	j.eventTime = d.times[0]
	for i := range d.marks {
		d.marks[i] = column.NegativeInfinity // it is late for nothing by its partition's watermark
	}
	for id, v := range w.views {
		for _, b := range v.branches {
			if b.table != w.tables[x.Table].topic || x.View >= 0 && (x.View != ViewID(id) || x.Source != b.plan.Source) {
				continue
			}
			r.replayBranch(j, part, d, ViewID(id), b)
		}
	}
	if len(j.outcome.Fates) == 0 && x.View >= 0 {
		j.outcome.State, j.outcome.Reason = ReplayVoid, "no view has this branch any more"
	}
	w.part = nil
	return j
}

func (j *replayJudgement) refuse(fault *Refused) {
	j.outcome.State, j.outcome.Reason, j.outcome.Fault = ReplayRefused, fault.Message, fault
}

// replayBranch finds out what becomes of the record in one branch.
func (r *run) replayBranch(j *replayJudgement, part *partition, d *decoded, id ViewID, b *branch) {
	w := r.replays.worker
	counts := InputCounts{}
	run := branchRun{worker: w, view: id, branch: b, part: part, decoded: d, counts: &counts, floor: column.NegativeInfinity, lookups: r.lookups.current, out: w.part.views[id]}
	run.process()
	fate := ReplayFate{View: id, Source: b.plan.Source}
	switch {
	case counts.Quarantined > 0:
		refused := w.part.refused[len(w.part.refused)-1]
		refused.Replay = j.replay.ID
		fate.Fate, fate.Reason = FateQuarantined, refused.Message
		j.refused = append(j.refused, refused)
	case counts.Accepted == 0:
		fate.Fate = FateFiltered
	default:
		fate.Fate = FateAccepted
	}
	j.outcome.Fates = append(j.outcome.Fates, fate)
	if fate.Fate == FateAccepted && b.view.Mode == plan.Grouped {
		r.replayWindows(j, &run, d)
	}
	j.part.refused, j.part.late = nil, nil
}

// replayWindows finds out which windows take the record.
func (r *run) replayWindows(j *replayJudgement, run *branchRun, d *decoded) {
	o, groups := r.views[run.view], run.out.groups
	if o.plan.Window == nil {
		j.part.takes[o.id] = []int64{state.Windowless}
		return
	}
	defer func() {
		if f := &j.outcome.Fates[len(j.outcome.Fates)-1]; len(f.Windows) == 0 && f.Reason == "" {
			f.Reason = "the record is of another window than before"
		}
	}()
	g := run.branch.groups[0] // a record has one
	if o.session != nil {     // of its time alone: what it joins is seen when it is merged
		t := groups.times[g].Start
		r.replayWindow(j, run, d, t, o.session.End(t), 0)
		return
	}
	shard := state.Shard(state.Hash(groups.Key(g)[windowPrefix:]))
	for start, last := o.windowsOf(groups.windows[g]); start <= last; start += o.slide {
		r.replayWindow(j, run, d, start, o.plan.Window.Assigner.End(start), shard)
	}
}

// replayWindow finds out whether one window takes the record.
func (r *run) replayWindow(j *replayJudgement, run *branchRun, d *decoded, start, end int64, shard int) {
	o, at := r.views[run.view], len(j.outcome.Fates)-1
	fate := &j.outcome.Fates[at]
	if j.replay.Late && !j.replay.Edited && start != j.replay.WindowStart {
		return
	}
	open, reason := o.takes(start, end)
	if reason != "" {
		fate.Reason = reason
		j.late = append(j.late, run.lateReplay(j.replay.ID, d, start, end, r.floors[o.id]))
		return
	}
	fate.Windows = append(fate.Windows, ReplayedWindow{Start: start, End: end, Corrected: !open})
	j.part.takes[o.id] = append(j.part.takes[o.id], start)
	if !open {
		j.closed = append(j.closed, closedNeed{o.id, start, end, []int{shard}, at})
	}
}

func (r *branchRun) lateReplay(id int64, d *decoded, start, end, floor int64) LateRow {
	row := r.lateRow(0)
	row.Replay, row.Floor, row.Watermark = id, floor, floor
	row.WindowStart, row.WindowEnd, row.Cause = start, end, LateFloor
	return row
}

// leaveOut takes a closed window out of those that take the record.
func (j *replayJudgement) leaveOut(n closedNeed, reason string, floor int64) {
	fate := &j.outcome.Fates[n.fate]
	fate.Reason = reason
	fate.Windows = slices.DeleteFunc(fate.Windows, func(w ReplayedWindow) bool { return w.Start == n.start })
	j.part.takes[n.view] = slices.DeleteFunc(j.part.takes[n.view], func(start int64) bool { return start == n.start })
	j.late = append(j.late, LateRow{
		Table: j.replay.Table, View: n.view, Source: fate.Source, Partition: j.replay.Partition, Offset: j.replay.Offset, Timestamp: j.replay.Timestamp,
		EventTime: j.eventTime, WindowStart: n.start, WindowEnd: n.end, Watermark: floor, Floor: floor, Cause: LateFloor, Replay: j.replay.ID,
		Key: j.replay.Key, Payload: j.replay.Payload, Headers: j.replay.Headers,
	})
}

// conclude decides, once it is known which windows take the record, whether
// the replay is applied: a record that no view takes stays in its ledger.
func (j *replayJudgement) conclude() {
	if j.outcome.State != "" {
		return
	}
	some := len(j.outcome.Fates) == 0 // no view reads the table
	for i := range j.outcome.Fates {
		f := &j.outcome.Fates[i]
		if f.Fate == FateAccepted && f.Reason != "" && len(f.Windows) == 0 {
			f.Fate = FateLate
		}
		some = some || f.Fate == FateAccepted || f.Fate == FateFiltered
	}
	if some {
		j.outcome.State = ReplayApplied
		for i := range j.late { // other windows of the view have taken the record
			j.late[i].Accepted = slices.ContainsFunc(j.outcome.Fates, func(f ReplayFate) bool {
				return f.View == j.late[i].View && f.Source == j.late[i].Source && len(f.Windows) > 0
			})
		}
		return
	}
	j.outcome.State, j.outcome.Reason = ReplayRefused, j.outcome.Fates[0].Reason
	if len(j.refused) > 0 {
		j.outcome.Fault = &j.refused[0]
	}
}

// takes tells whether a window takes a record now: as one that is open, or
// closed; a reason says why it does not.
func (o *viewOwner) takes(start, end int64) (open bool, reason string) {
	if retention := o.plan.Retention; retention > 0 {
		if least := less(max(o.time.floor, o.shown.finalBefore), retention.Microseconds()); start < least {
			return false, fmt.Sprintf("the rows of window %s of view %q have expired: retention is %s", windowText(start, end), o.plan.Name, durationText(retention))
		}
	}
	switch {
	case end > o.time.floor:
		return true, ""
	case o.session != nil:
		return false, fmt.Sprintf("sessions of view %q that a record of %s could join are closed, and nothing is kept of closed sessions", o.plan.Name, timeText(start))
	case o.plan.Correctable == 0:
		return false, fmt.Sprintf("window %s of view %q is closed, and the view keeps nothing to correct it (correctable = '0')", windowText(start, end), o.plan.Name)
	case end < less(o.time.floor, o.plan.Correctable.Microseconds()):
		return false, fmt.Sprintf("window %s of view %q is no longer correctable: it was until the view's time had come to %s (correctable = '%s'), and that is at %s",
			windowText(start, end), o.plan.Name, timeText(end+o.plan.Correctable.Microseconds()), durationText(o.plan.Correctable), timeText(o.time.floor))
	case !o.forgotten.before(WindowPlace{end, start}):
		return false, fmt.Sprintf("window %s of view %q is no longer correctable: what was kept of it had to go for later windows (correctable_bytes)", windowText(start, end), o.plan.Name)
	}
	return false, ""
}

// before tells whether a place comes before another.
func (p WindowPlace) before(q WindowPlace) bool {
	return p.End < q.End || p.End == q.End && p.Start < q.Start
}

func windowText(start, end int64) string { return timeText(start) + " to " + timeText(end) }

func timeText(stored int64) string {
	return time.UnixMicro(stored - column.UnixEpochMicros).UTC().Format("2006-01-02 15:04:05.999999Z07:00")
}

func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d > day && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}
