//! Compaction: fewer, larger parts, in segments of their own where a series is large enough.
//!
//! Segments shared by many series are merged oldest-to-newest neighbours first, by size, so that each row is rewritten
//! a logarithmic number of times. A series whose part reaches `own_segment_bytes` moves to a segment of its own.
//!
//! # Invariants
//! - K1. For each series only neighbouring layers are merged (Y3); the result takes their place.
//! - K2. Nothing changes for readers but what retention has given up.
//! - K3. Memory is bounded by a few slices of [`SLICE_ROWS`](crate::slice::SLICE_ROWS) rows and [`SLICE_BYTES`], and the chunks that are being
//!   written, whatever the size of a series.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use tapestore_format::limits::BLOCK_ROWS;
use tapestore_format::manifest::{ManifestRecord, SegmentRecord};
use tapestore_format::segment::{Chunk, Holds, Scratch, Stream, Tier};

use crate::error::{Error, ErrorClass, Result};
use crate::layer::Retained;
use crate::reserve::discard;
use crate::seal::{SegmentOutput, holds_ticks, kept_marks};
use crate::segment::{Part, SegmentFile, segment_name};
use crate::slice::{SLICE_BYTES, merged_slice, read_slice, slices};
use crate::state::{Layer, SeriesState, State};
use crate::store::{Shared, WriterRole};
use crate::sync::{Mistake, mistaken, thread};

const ALL_TIME: Range<i64> = i64::MIN..i64::MAX;
/// A neighbour is drawn in if it is at most this many times as large as what is merged already.
const GROWTH: u64 = 4;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Segments before it.
    pub segments_before: u64,
    /// Segments after it.
    pub segments_after: u64,
    /// Bytes of segments before it.
    pub bytes_before: u64,
    /// Bytes of segments after it.
    pub bytes_after: u64,
    /// Rows that were rewritten.
    pub rows: u64,
}

/// How much to compact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What the budgets ask for, if anything.
    Due,
    /// This segment, if it is still there.
    Aged(u64),
    /// Everything that is not compact yet, and everything that retention gave up.
    All,
    /// Everything, as segments of this tier.
    To(Tier),
}

/// Which parts of a series become one.
struct Job {
    series: Arc<SeriesState>,
    /// Range of layers, all parts.
    layers: Range<usize>,
    bytes: u64,
}

/// Compacts; `None` if there was nothing to do.
pub(crate) fn compact(shared: &Shared, role: &WriterRole, scope: Scope) -> Result<Option<CompactReport>> {
    let _one_at_a_time = role.compacting.lock();
    // A handle that failed publishes no step (I8).
    role.pipeline.lock().check()?;
    if matches!(scope, Scope::Due | Scope::Aged(_)) && role.reserve.is_missing() {
        return Ok(None);
    }
    let state = shared.published.read().clone();
    let retained = shared.retained.read().clone();
    let selected = select(shared, &state, &retained, scope)?;
    if selected.is_empty() {
        return Ok(None);
    }
    let jobs = closed(shared, &state, selected);
    let tier = if let Scope::To(tier) = scope { Some(tier) } else { None };
    role.pipeline.guard(|| rewrite(shared, role, &jobs, &retained, tier)).map(Some)
}

/// What a thread does when it is woken: compacts what is due, then lets rows become cold that have aged, one segment of a
/// series at a time. What is younger goes first, and nothing is begun any more once the store is closed.
pub(crate) fn in_background(shared: &Shared, role: &WriterRole) -> Result<()> {
    compact(shared, role, Scope::Due)?;
    for id in aged(shared) {
        if role.worker.is_stopping() {
            return Ok(());
        }
        compact(shared, role, Scope::Due)?;
        match compact(shared, role, Scope::Aged(id)) {
            // Damage in one segment is no reason to leave the others as they are.
            Err(error) if error.kind() == ErrorClass::Corrupt => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// The segments of series alone that have rows which became old enough to be cold, and are not.
fn aged(shared: &Shared) -> Vec<u64> {
    if shared.options.cold_after_ns.is_none() {
        return Vec::new();
    }
    let state = shared.published.read().clone();
    let old = |series: &SeriesState, part: &Part| {
        // Damage is told to whoever reads the rows.
        is_own(&part.file) && ages(part, cold_before(shared, series)).unwrap_or(false)
    };
    let series = state.series.iter();
    let parts = series.flat_map(|series| parts(series).map(move |part| (series, part)));
    parts.filter(|(series, part)| old(series, part)).map(|(_, part)| part.file.id()).collect()
}

/// Compacts on a full disk: as little at a time as can be, what is smallest first, so that each piece makes space for the
/// next. Whether there was a piece without space for it.
pub(crate) fn reclaim(shared: &Shared, role: &WriterRole) -> Result<bool> {
    let _one_at_a_time = role.compacting.lock();
    // What is written here is not written again.
    let mut left: HashSet<u64> = segments(&shared.published.read()).into_keys().collect();
    let mut unfinished = false;
    loop {
        role.pipeline.lock().check()?;
        let state = shared.published.read().clone();
        let retained = shared.retained.read().clone();
        let selected = select(shared, &state, &retained, Scope::All)?;
        let piece = |series: &Arc<SeriesState>| {
            let ids = parts(series).map(|part| part.file.id());
            let own: HashSet<u64> = ids.filter(|id| selected.contains(id)).collect();
            (!own.is_disjoint(&left)).then(|| closed(shared, &state, own))
        };
        let bytes = |jobs: &Vec<Job>| jobs.iter().map(|job| job.bytes).sum::<u64>();
        let Some(jobs) = state.series.iter().filter_map(piece).min_by_key(bytes) else {
            return Ok(unfinished);
        };
        for part in jobs.iter().flat_map(job_parts) {
            left.remove(&part.file.id());
        }
        match role.pipeline.guard(|| rewrite(shared, role, &jobs, &retained, None)) {
            Err(error) if error.is_full_disk() && role.pipeline.lock().check().is_ok() => unfinished = true,
            other => drop(other?),
        }
    }
}

/// The jobs that rewrite some segments. A segment goes as a whole: whoever stands in one that goes takes part.
fn closed(shared: &Shared, state: &State, mut selected: HashSet<u64>) -> Vec<Job> {
    loop {
        let jobs = jobs(state, &selected, shared.options.own_segment_bytes);
        let touched =
            jobs.iter().flat_map(job_parts).filter(|part| !is_own(&part.file)).map(|part| part.file.id());
        let before = selected.len();
        selected.extend(touched);
        if selected.len() == before {
            return jobs;
        }
    }
}

fn job_parts(job: &Job) -> impl Iterator<Item = &Arc<Part>> {
    job.series.layers[job.layers.clone()].iter().filter_map(Layer::part)
}

fn parts(series: &SeriesState) -> impl Iterator<Item = &Arc<Part>> {
    series.layers.iter().filter_map(Layer::part)
}

/// All segments of a state, each with the newest version in it.
fn segments(state: &State) -> BTreeMap<u64, (Arc<SegmentFile>, u64)> {
    let mut out: BTreeMap<u64, (Arc<SegmentFile>, u64)> = BTreeMap::new();
    for part in state.series.iter().flat_map(|series| parts(series)) {
        let entry = out.entry(part.file.id()).or_insert_with(|| (part.file.clone(), 0));
        entry.1 = entry.1.max(part.summary.version_high);
    }
    out
}

/// Whether a series has a segment to itself.
fn is_own(file: &SegmentFile) -> bool {
    file.parts == 1 && file.level > 0
}

/// The segments to rewrite.
fn select(shared: &Shared, state: &State, retained: &Retained, scope: Scope) -> Result<HashSet<u64>> {
    let segments = segments(state);
    let mut young: Vec<_> = segments.values().filter(|(file, _)| !is_own(file)).collect();
    young.sort_by_key(|(file, high)| (*high, file.id()));
    if scope == Scope::Due {
        if young.len() < shared.options.young_segments.max(2) {
            return Ok(HashSet::new());
        }
        let (mut selected, mut bytes) = (HashSet::new(), 0);
        for (file, _) in young.iter().rev() {
            if selected.len() >= 2 && file.length > GROWTH * bytes {
                break;
            }
            selected.insert(file.id());
            bytes += file.length;
        }
        return Ok(selected);
    }
    match scope {
        Scope::To(_) => return Ok(segments.keys().copied().collect()),
        Scope::Aged(id) => return Ok(segments.contains_key(&id).then_some(id).into_iter().collect()),
        Scope::Due | Scope::All => {}
    }
    // What sealing wrote otherwise than compaction writes.
    let sealed = |file: &SegmentFile| {
        file.level == 0 && shared.options.sealed_tier.is_some_and(|tier| tier != shared.options.tier)
    };
    let mut selected = HashSet::new();
    if young.len() > 1 {
        selected.extend(young.iter().map(|(file, _)| file.id()));
    }
    for series in state.series.iter() {
        let loose = parts(series).count() > 1;
        for part in parts(series) {
            let large = part.summary.bytes >= shared.options.own_segment_bytes && !is_own(&part.file);
            if loose
                || large
                || sealed(&part.file)
                || gives_up(part, retained)?
                || ages(part, cold_before(shared, series))?
            {
                selected.insert(part.file.id());
            }
        }
    }
    Ok(selected)
}

/// Rows before this time are to be cold: those much older than the newest of the series.
fn cold_before(shared: &Shared, series: &SeriesState) -> i64 {
    let newest = parts(series).filter_map(|part| part.live_span()).map(|span| span.1).max();
    let age = shared.options.cold_after_ns;
    age.zip(newest).map_or(i64::MIN, |(age, newest)| newest.saturating_sub(age))
}

/// Whether a part has a piece of rows that became old enough to be cold, and is not.
fn ages(part: &Part, cold_before: i64) -> Result<bool> {
    if part.live_span().is_none_or(|span| span.0 >= cold_before) {
        return Ok(false);
    }
    let ages_at = match part.ages_at.get() {
        Some(time) => *time,
        None => {
            let found = find_ages_at(part)?;
            *part.ages_at.get_or_init(|| found)
        }
    };
    Ok(ages_at < cold_before)
}

/// The last time of the first piece of rows that can become cold; a segment never changes, so this is looked for once.
fn find_ages_at(part: &Part) -> Result<i64> {
    let (index, segment) = (part.index()?, part.file.segment()?);
    // What has no other form looks the same when it is cold.
    let gains = |chunk: &Chunk<'_>| match chunk.tier() {
        Tier::Hot => true,
        Tier::Dense => chunk.may_be_coded(),
        Tier::Cold => false,
    };
    for (number, place) in index.live.iter().enumerate() {
        // What is smaller than a block may well be no smaller when cold.
        if place.rows as usize >= BLOCK_ROWS {
            let chunk = segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
            if gains(&chunk) {
                return Ok(place.last_time);
            }
        }
    }
    Ok(i64::MAX)
}

/// Whether a part keeps something that nobody may read any more.
fn gives_up(part: &Part, retained: &Retained) -> Result<bool> {
    if part.summary.history_rows == 0 || retained.floor <= part.summary.version_low {
        return Ok(false);
    }
    let unwanted = |life: Range<u64>| !retained.wants(life.start, life.end);
    let mut found = false;
    part.each_history(&ALL_TIME, &[], &unwanted, &mut Scratch::pooled(), &mut |_| {
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// For each series the layers to merge: all that lie in selected segments, what stands between them, and an own
/// segment beneath that is not much larger.
fn jobs(state: &State, selected: &HashSet<u64>, own_bytes: u64) -> Vec<Job> {
    let mut out = Vec::new();
    for series in state.series.iter() {
        let chosen = |layer: &Layer| matches!(layer, Layer::Part(part) if selected.contains(&part.file.id()));
        let Some(mut first) = series.layers.iter().position(chosen) else { continue };
        let last = series.layers.iter().rposition(chosen).expect("there is a first one");
        let size = |layer: &Layer| match layer {
            Layer::Part(part) => part.summary.bytes,
            Layer::Mem(_) => 0,
        };
        let mut bytes: u64 = series.layers[first..=last].iter().map(size).sum();
        while bytes >= own_bytes / GROWTH && first > 0 {
            match &series.layers[first - 1] {
                Layer::Part(part) if is_own(&part.file) && part.summary.bytes <= GROWTH * bytes => {
                    bytes += part.summary.bytes;
                    first -= 1;
                }
                _ => break,
            }
        }
        out.push(Job { series: series.clone(), layers: first..last + 1, bytes });
    }
    out
}

fn rewrite(
    shared: &Shared,
    role: &WriterRole,
    jobs: &[Job],
    retained: &Retained,
    tier: Option<Tier>,
) -> Result<CompactReport> {
    let mut report = CompactReport::default();
    let before = segments(&shared.published.read());
    report.segments_before = before.len() as u64;
    report.bytes_before = before.values().map(|(file, _)| file.length).sum();
    // What is read is mapped now: behind this, whatever the operating system refuses is a write.
    jobs.iter().flat_map(job_parts).try_for_each(|part| part.file.open())?;
    let mut created = Vec::new();
    let written = role.reserve.keeping_back(&*shared.storage, || {
        write_segments(shared, role, jobs, retained, tier, &mut created, &mut report).inspect_err(|_| {
            // Nothing refers to them; what cannot be removed now is an orphan for the next open.
            for id in &created {
                let _ = discard(&*shared.storage, &segment_name(*id));
            }
        })
    });
    // Only a new segment that found no space may be given up (I8). Damage in what is read is no failed write.
    let finished = written.inspect_err(|error| {
        if matches!(error, Error::Io { .. }) && !error.is_full_disk() {
            role.pipeline.poison(error);
        }
    })?;
    // From here on it is unknown what counts if something fails (I8).
    publish(shared, role, jobs, finished).inspect_err(|error| role.pipeline.poison(error))?;
    let after = segments(&shared.published.read());
    report.segments_after = after.len() as u64;
    report.bytes_after = after.values().map(|(file, _)| file.length).sum();
    Ok(report)
}

fn write_segments(
    shared: &Shared,
    role: &WriterRole,
    jobs: &[Job],
    retained: &Retained,
    tier: Option<Tier>,
    created: &mut Vec<u64>,
    report: &mut CompactReport,
) -> Result<Vec<SegmentRecord>> {
    let (alone, together): (Vec<&Job>, Vec<&Job>) =
        jobs.iter().partition(|job| job.bytes >= shared.options.own_segment_bytes);
    let mut groups: Vec<Vec<&Job>> = alone.into_iter().map(|job| vec![job]).collect();
    groups.extend((!together.is_empty()).then_some(together));
    let mut finished: Vec<SegmentRecord> = Vec::new();
    // A tier that was asked for holds for all rows.
    let aging = tier.is_none() && shared.options.cold_after_ns.is_some();
    let tier = tier.unwrap_or(shared.options.tier);
    for group in groups {
        let ticks = group.iter().any(|job| holds_ticks(&job.series));
        let mut factors = false;
        for part in group.iter().flat_map(|job| job_parts(job)) {
            factors |= tier != Tier::Hot && has_factors(part)?;
        }
        let mut rows = 0;
        finished.extend(SegmentOutput::write(shared, Holds { aging, ticks, factors }, 1, |holds| {
            // Reserving numbers is a step: if it fails it is unknown what counts, on a full disk as well (I8).
            let id = role.maintenance.lock().allocate().inspect_err(|error| role.pipeline.poison(error))?;
            created.push(id);
            let mut output = SegmentOutput::create(shared, id, tier, holds)?;
            rows = 0;
            for job in &group {
                rows += write_job(shared, role, job, &mut output, retained)?;
            }
            Ok(output)
        })?);
        report.rows += rows;
    }
    Ok(finished)
}

/// Whether prices of a part are stored with factors, as they then will be again.
fn has_factors(part: &Part) -> Result<bool> {
    let (index, segment) = (part.index()?, part.file.segment()?);
    if !segment.may_hold_factors() {
        return Ok(false);
    }
    for number in 0..index.live.len() {
        let chunk = segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
        if chunk.columns().any(|column| column.factors) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the merged part of a job; returns its number of rows.
fn write_job(
    shared: &Shared,
    role: &WriterRole,
    job: &Job,
    output: &mut SegmentOutput,
    retained: &Retained,
) -> Result<u64> {
    let layers: Vec<&Arc<Part>> = job_parts(job).collect();
    let newest = layers.iter().map(|part| part.summary.version_high).max().unwrap_or(0);
    let mut used = Vec::new();
    let mut all_marks = Vec::new();
    for part in &layers {
        used.extend(part.index()?.columns.iter().map(|column| column.0));
        all_marks.extend_from_slice(part.marks()?);
    }
    let marks = kept_marks(&all_marks, job.layers.start == 0);
    let (mut begun, mut rows) = (false, 0);
    let mut left: VecDeque<Range<i64>> = slices(&layers)?.into();
    while let Some(mut slice) = left.pop_front() {
        role.worker.breathe();
        let sides = read_slice(&layers, &mut slice, &mut left, SLICE_BYTES)?;
        let (live, history) = merged_slice(&layers, sides, &job.series, retained)?;
        if live.is_empty() && history.is_empty() {
            continue;
        }
        if !begun {
            output.begin(&job.series, newest, &used);
            output.cold_before(cold_before(shared, &job.series));
            begun = true;
        }
        rows += live.len() as u64;
        output.writer.push_live(&live, 0..live.len());
        output.writer.push_history(&history, 0..history.len());
        let before = output.written;
        output.drain()?;
        throttle(shared, output.written - before);
    }
    if !begun && !marks.is_empty() {
        output.begin(&job.series, newest, &used);
        begun = true;
    }
    if begun {
        for mark in marks {
            output.writer.push_mark(mark);
        }
        output.end()?;
    }
    Ok(rows)
}

fn throttle(shared: &Shared, bytes: u64) {
    if let Some(rate) = shared.options.compaction_bytes_per_second {
        thread::sleep(Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64));
    }
}

/// Makes the new segments count and the old ones obsolete, then swaps the layers.
fn publish(shared: &Shared, role: &WriterRole, jobs: &[Job], finished: Vec<SegmentRecord>) -> Result<()> {
    let mut replaced: HashMap<u64, Arc<SegmentFile>> = HashMap::new();
    for part in jobs.iter().flat_map(job_parts) {
        replaced.insert(part.file.id(), part.file.clone());
    }
    let mut fresh: HashMap<u32, Arc<Part>> = HashMap::new();
    for record in &finished {
        let file = shared.segment_file(record);
        for summary in &record.parts {
            fresh.insert(summary.series, Arc::new(Part::new(file.clone(), summary.clone())));
        }
    }
    let mut maintenance = role.maintenance.lock();
    let mut records: Vec<ManifestRecord> = finished.into_iter().map(ManifestRecord::AddSegment).collect();
    records.extend(replaced.keys().map(|id| ManifestRecord::RemoveSegment(*id)));
    let state = maintenance.state();
    if mistaken(Mistake::RemoveBeforeStep) {
        replaced.values().for_each(|file| maintenance.retire_segment(file));
        maintenance.collect();
    }
    maintenance.publish(records, state)?;
    swap(shared, role, &replaced, &fresh);
    for file in replaced.values() {
        maintenance.retire_segment(file);
    }
    drop(replaced);
    maintenance.collect();
    Ok(())
}

fn swap(
    shared: &Shared,
    role: &WriterRole,
    replaced: &HashMap<u64, Arc<SegmentFile>>,
    fresh: &HashMap<u32, Arc<Part>>,
) {
    let mut inner = role.pipeline.lock_idle();
    let replace = |state: &State| {
        let mut next = state.clone();
        for series in state.series.iter() {
            let old =
                |layer: &Layer| matches!(layer, Layer::Part(part) if replaced.contains_key(&part.file.id()));
            let Some(at) = series.layers.iter().position(old) else { continue };
            let mut layers: Vec<Layer> = series.layers[..at].to_vec();
            layers.extend(fresh.get(&series.id).cloned().map(Layer::Part));
            layers.extend(series.layers[at..].iter().filter(|layer| !old(layer)).cloned());
            next.series.set(series.id as usize, Arc::new(series.with_layers(layers)));
        }
        Arc::new(next)
    };
    let head = replace(&inner.head);
    let mut published = shared.published.write();
    *published = if Arc::ptr_eq(&*published, &inner.head) { head.clone() } else { replace(&published) };
    inner.head = head;
}
