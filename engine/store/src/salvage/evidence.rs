//! What a damaged store still says about itself: its identity, its manifest, and whether that can be trusted.

use std::collections::{BTreeMap, HashMap};

use tapestore_format::ErrorKind;
use tapestore_format::checksum::Identity;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::{FRAME_ALIGNMENT, FrameReader, RecordAssembler};
use tapestore_format::manifest::{Current, ManifestRecord, SegmentRecord, SeriesRecord, StateRecord};

use super::report::{Loss, LossKind, SalvageReport};
use crate::error::{Error, ErrorClass, Result};
use crate::io::Storage;
use crate::manifest::{ManifestState, load, manifest_name, read_current};
use crate::segment::segment_name;
use crate::wal::{log_name, parse_log_name};

/// Everything that is known of a store beside its rows.
pub(super) struct Evidence {
    pub(super) store: [u8; 16],
    pub(super) created: Option<i64>,
    pub(super) manifest: ManifestState,
    /// The manifest is whole: what it says counts, and nothing else.
    pub(super) sound: bool,
}

/// The file id in a name such as `segment-000000000007.tape`.
pub(super) fn file_id(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.strip_suffix(".tape")?.parse().ok()
}

fn list(storage: &dyn Storage) -> Result<Vec<(String, u64)>> {
    storage.list("").map_err(|error| Error::io("listing", storage.describe(""), error))
}

/// Ids of the files with this prefix, ascending.
pub(super) fn ids(storage: &dyn Storage, prefix: &str) -> Result<Vec<u64>> {
    let mut ids: Vec<u64> = list(storage)?.iter().filter_map(|(name, _)| file_id(name, prefix)).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Collects what can be known.
///
/// # Errors
/// There is no file of a store at all, or the directory cannot be read.
pub(super) fn collect(storage: &dyn Storage, report: &mut SalvageReport) -> Result<Evidence> {
    refuse_newer(storage)?;
    let mut current = match read_current(storage) {
        Ok(Some(current)) => Some(current),
        Ok(None) => {
            report.rebuilt.push("CURRENT is missing".into());
            None
        }
        Err(error) if error.kind() == ErrorClass::Newer => return Err(error),
        Err(error) => {
            report.rebuilt.push(error.to_string());
            None
        }
    };
    if let Some(current) = &current {
        match load(storage, current) {
            Ok((manifest, _)) => {
                let (store, created) = (current.store, Some(current.created));
                let newer =
                    if is_there(storage, &manifest) { None } else { newest_whole(storage, store, report)? };
                let newer = newer.filter(|newer| newer.state.step > current.step);
                return Ok(Evidence { store, created, manifest: newer.unwrap_or(manifest), sound: true });
            }
            Err(error) => report.rebuilt.push(error.to_string()),
        }
    }
    let others = identities(storage)?;
    if current.as_ref().is_some_and(|current| !others.is_empty() && !others.contains_key(&current.store)) {
        report.rebuilt.push("CURRENT is that of another store".into());
        current = None;
    }
    let store = match &current {
        Some(current) => current.store,
        None => most(storage, &others)?,
    };
    let created = current.map(|current| current.created);
    if current.is_none()
        && let Some(manifest) = newest_whole(storage, store, report)?
    {
        return Ok(Evidence { store, created, manifest, sound: true });
    }
    let manifest = pieces(storage, store, report)?;
    Ok(Evidence { store, created, manifest, sound: false })
}

/// Whether the files that a manifest counts are there. Files go only after `CURRENT` counts the step that replaces them:
/// where some are gone, a later step that is whole says what took their place, and `CURRENT` is one of an earlier moment.
fn is_there(storage: &dyn Storage, manifest: &ManifestState) -> bool {
    let segments = manifest.segments.keys().map(|id| segment_name(*id));
    let mut files = segments.chain([log_name(manifest.state.first_log)]);
    files.all(|name| storage.length(&name).is_ok())
}

/// What a newer version wrote is not damaged, and is not read by halves.
fn refuse_newer(storage: &dyn Storage) -> Result<()> {
    for (name, _) in list(storage)?.into_iter().filter(|(name, _)| name.strip_suffix(".tape").is_some()) {
        let mut bytes = [0; HEADER_BYTES];
        let read = storage.open_read(&name).and_then(|file| file.read_exact_at(0, &mut bytes));
        if read.is_ok()
            && let Err(error) = FileHeader::decode(&bytes, FileKind::Segment)
            && error.kind == ErrorKind::Newer
        {
            return Err(Error::format(storage.describe(&name), error));
        }
    }
    Ok(())
}

/// The identities that files have in their headers, and how many each.
fn identities(storage: &dyn Storage) -> Result<HashMap<[u8; 16], usize>> {
    let mut votes: HashMap<[u8; 16], usize> = HashMap::new();
    for (name, _) in list(storage)? {
        let kind = match &name {
            name if name.starts_with("segment-") => FileKind::Segment,
            name if parse_log_name(name).is_some() => FileKind::Wal,
            name if name.starts_with("manifest-") => FileKind::Manifest,
            _ => continue,
        };
        let mut bytes = [0; HEADER_BYTES];
        let read = storage.open_read(&name).and_then(|file| file.read_exact_at(0, &mut bytes));
        if read.is_ok()
            && let Ok(header) = FileHeader::decode(&bytes, kind)
        {
            *votes.entry(header.identity.store).or_default() += 1;
        }
    }
    Ok(votes)
}

/// The identity that most files have.
fn most(storage: &dyn Storage, votes: &HashMap<[u8; 16], usize>) -> Result<[u8; 16]> {
    let most = votes.iter().max_by_key(|(store, count)| (**count, **store));
    most.map(|(store, _)| *store).ok_or_else(|| {
        Error::NotFound(format!("{} holds no file of a store that could be read", storage.describe("")))
    })
}

fn read(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let read = storage.open_read(name).and_then(|file| {
        let length = file.length()?;
        file.read_all(length)
    });
    read.unwrap_or_default()
}

/// The place of the first frame behind `after` that validates, whatever its number.
pub(super) fn next_frame(bytes: &[u8], after: usize, identity: Identity) -> Option<usize> {
    let first = after.next_multiple_of(FRAME_ALIGNMENT) + FRAME_ALIGNMENT;
    (first..bytes.len()).step_by(FRAME_ALIGNMENT).find(|at| {
        matches!(FrameReader::new(&bytes[*at..], *at as u64, identity, None).next_frame(), Ok(Some(_)))
    })
}

/// The newest manifest that is whole from its beginning to its last step. What stands behind that is an unfinished step.
fn newest_whole(
    storage: &dyn Storage,
    store: [u8; 16],
    report: &mut SalvageReport,
) -> Result<Option<ManifestState>> {
    for id in ids(storage, "manifest-")?.into_iter().rev() {
        let name = manifest_name(id);
        let bytes = read(storage, &name);
        let identity = Identity { store, file: id };
        if FileHeader::check(&bytes, FileKind::Manifest, &identity).is_err() {
            continue;
        }
        let mut frames = FrameReader::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, identity, Some(0));
        let (mut assembler, mut last) = (RecordAssembler::default(), None);
        while let Ok(Some(frame)) = frames.next_frame() {
            if let Ok(Some((kind, record))) = assembler.push(&frame)
                && let Ok(ManifestRecord::State(state)) = ManifestRecord::decode(kind, record)
            {
                last = Some((frame.end(), state.step));
            }
        }
        let Some((length, step)) = last.filter(|_| frames.find_later(|_| true).is_none()) else { continue };
        let current = Current { store, manifest: id, length, step, created: 0 };
        let Ok((manifest, _)) = load(storage, &current) else { continue };
        let there = |segment: &&SegmentRecord| storage.length(&segment_name(segment.id)).is_ok();
        if manifest.segments.values().all(|segment| there(&segment)) {
            report.rebuilt.push(format!("the newest step, {step}, was found in {}", storage.describe(&name)));
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

/// What the records of all manifests say that can still be read. Which segments count is not decided here.
fn pieces(storage: &dyn Storage, store: [u8; 16], report: &mut SalvageReport) -> Result<ManifestState> {
    let mut manifest = ManifestState::default();
    let mut sources: BTreeMap<u16, String> = BTreeMap::new();
    let mut newest = StateRecord::default();
    for id in ids(storage, "manifest-")? {
        let bytes = read(storage, &manifest_name(id));
        let identity = Identity { store, file: id };
        let mut position = HEADER_BYTES.min(bytes.len());
        while position < bytes.len() {
            let mut frames = FrameReader::new(&bytes[position..], position as u64, identity, None);
            let mut assembler = RecordAssembler::default();
            while let Ok(Some(frame)) = frames.next_frame() {
                let Ok(Some((kind, record))) = assembler.push(&frame) else { continue };
                match ManifestRecord::decode(kind, record) {
                    Ok(ManifestRecord::State(state)) if state.step >= newest.step => newest = state,
                    Ok(ManifestRecord::Source { id, name }) => drop(sources.insert(id, name)),
                    Ok(ManifestRecord::Series(series)) => add_series(&mut manifest, series),
                    Ok(ManifestRecord::AddSegment(segment)) => {
                        manifest.segments.insert(segment.id, segment);
                    }
                    Ok(ManifestRecord::RemoveSegment(id)) => drop(manifest.segments.remove(&id)),
                    Ok(ManifestRecord::Snapshot(snapshot)) => {
                        manifest.snapshots.insert(snapshot.name.clone(), snapshot);
                    }
                    Ok(ManifestRecord::DropSnapshot(name)) => drop(manifest.snapshots.remove(&name)),
                    _ => {}
                }
            }
            position = next_frame(&bytes, frames.offset() as usize, identity).unwrap_or(bytes.len());
        }
    }
    // Which versions the lost records gave up is unknown, and with them what was pruned.
    for snapshot in std::mem::take(&mut manifest.snapshots).into_values() {
        let mut loss =
            Loss::new(LossKind::Snapshot, "CURRENT", format!("snapshot {:?} is not kept", snapshot.name));
        loss.versions = Some((snapshot.version, snapshot.version));
        report.losses.push(loss);
    }
    let count = sources.keys().next_back().map_or(0, |last| usize::from(*last) + 1);
    manifest.sources =
        (0..count).map(|id| sources.remove(&(id as u16)).unwrap_or_else(|| lost_source(id))).collect();
    manifest.state = newest;
    Ok(manifest)
}

/// What a source is called whose name is lost.
pub(super) fn lost_source(id: usize) -> String {
    format!("source {id}, name lost")
}

/// The record that tells more of a series: later ones repeat what earlier ones said.
pub(super) fn add_series(manifest: &mut ManifestState, series: SeriesRecord) {
    let known = manifest.series.get(&series.id).map_or(0, |known| known.definitions.len());
    if series.definitions.len() >= known {
        manifest.series.insert(series.id, series);
    }
}
