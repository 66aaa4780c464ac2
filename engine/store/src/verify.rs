//! Verification: reads a store without changing it and names everything that is wrong with it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tapestore_format::checksum::Identity;
use tapestore_format::manifest::SegmentRecord;
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{PartIndex, Segment, Verified};

use crate::apply::{apply, follows};
use crate::backup::hash_of;
use crate::error::{Error, Result};
use crate::follow::live_writer;
use crate::io::{RealStorage, Storage};
use crate::lease::Lease;
use crate::manifest::{ManifestState, load};
use crate::open::{build_state, find_store};
use crate::segment::segment_name;
use crate::state::Catalog;
use crate::store::Store;
use crate::wal::{LogReader, Replayed};

/// Something wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The broken rule of `format-spec/`.
    pub rule: String,
    /// What was found.
    pub detail: String,
    /// The series concerned, where that is known.
    pub series: Option<String>,
    /// Whether data is damaged; otherwise it is something that a writer mends by itself, such as a torn tail.
    pub damage: bool,
}

impl Store {
    /// Checks the files of this store as they are on disk. Without `deep`: everything that opening reads, and the
    /// structure of segments. With `deep`: every byte of every segment, by checksum, by decoding, by the hash of the
    /// whole file.
    ///
    /// # Errors
    /// Only if the store cannot be read at all; damage is in the findings.
    pub fn verify(&self, deep: bool) -> Result<Vec<Finding>> {
        if let Ok(role) = self.shared.writer() {
            // A poisoned handle writes nothing more; what it acknowledged is on disk.
            drop(role.pipeline.quiesce(&self.shared));
        }
        verify_storage(&self.shared.storage, deep)
    }
}

/// As [`Store::verify`], for a store that perhaps does not open.
///
/// # Errors
/// [`Error::NotFound`] if there is no store.
pub fn verify_directory(directory: impl AsRef<Path>, deep: bool) -> Result<Vec<Finding>> {
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new(directory.as_ref().to_path_buf()));
    verify_storage(&storage, deep)
}

/// As [`verify_directory`], on any storage.
///
/// # Errors
/// As [`verify_directory`].
pub fn verify_storage(storage: &Arc<dyn Storage>, deep: bool) -> Result<Vec<Finding>> {
    let _lease = match Lease::of_a_store(storage) {
        Ok(lease) => lease,
        Err(error @ Error::NotFound(_)) => return Err(error),
        Err(error) => return Ok(vec![finding(error)]),
    };
    // Behind the lease nothing that counts now can go.
    let current = match find_store(&**storage) {
        Ok(current) => current,
        Err(error @ Error::NotFound(_)) => return Err(error),
        Err(error) => return Ok(vec![finding(error)]),
    };
    let manifest = match load(&**storage, &current) {
        Ok((manifest, _)) => manifest,
        Err(error) => return Ok(vec![finding(error)]),
    };
    let mut check = Check { storage, store: current.store, manifest: &manifest, findings: Vec::new() };
    check.logs();
    for segment in manifest.segments.values() {
        check.segment(segment, deep);
    }
    Ok(check.findings)
}

struct Check<'a> {
    storage: &'a Arc<dyn Storage>,
    store: [u8; 16],
    manifest: &'a ManifestState,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn series_name(&self, id: u32) -> Option<String> {
        self.manifest.series.get(&id).map(|series| format!("{} {}", series.instrument, series.frame))
    }

    /// The logs replay, and their transactions fit one another.
    fn logs(&mut self) {
        let catalog = Catalog::default();
        let mut state = match build_state(self.storage, self.store, self.manifest, &catalog, &HashMap::new())
        {
            Ok(state) => state,
            Err(error) => return self.findings.push(finding(error)),
        };
        let sealed = state.version;
        let mut before: Option<u64> = None;
        // What a living writer has not shown yet may be half written; that is no finding.
        let live = match live_writer(&**self.storage, self.store) {
            Ok(live) => live,
            Err(error) => return self.findings.push(finding(error)),
        };
        let reader = LogReader { storage: &**self.storage, store: self.store, visible: None };
        let result = reader.replay(self.manifest.state.first_log, &mut |record| {
            let fits = match before {
                Some(before) => follows(record.version, before),
                None => record.version <= sealed || follows(record.version, sealed),
            };
            before = Some(record.version);
            if !fits {
                let detail = format!("commit {} does not follow the one before it", record.version);
                return Err(Error::Inconsistent { path: "log".into(), rule: "W7", offset: 0, detail });
            }
            if record.version > sealed {
                state = apply(&state, &catalog, record, 0)?.0;
            }
            Ok(())
        });
        match result {
            Err(error) => self.findings.push(finding(error)),
            Ok(Replayed { torn: Some(torn), .. }) if live.is_none_or(|visible| torn.offset < visible.end) => {
                self.findings.push(Finding {
                    file: self.storage.describe(&torn.file),
                    offset: torn.offset,
                    rule: "W5".into(),
                    detail: format!(
                        "{} bytes of a commit that was never finished; opening cuts them off",
                        torn.bytes
                    ),
                    series: None,
                    damage: false,
                });
            }
            Ok(_) => {}
        }
    }

    fn segment(&mut self, record: &SegmentRecord, deep: bool) {
        let name = segment_name(record.id);
        let path = self.storage.describe(&name);
        let map = match self.storage.map(&name, record.length) {
            Ok(map) => map,
            Err(error) => {
                let detail = format!("cannot be mapped: {error}");
                self.report(&path, 0, "I3", detail, None);
                return;
            }
        };
        let verified = Verified::new(record.length);
        let identity = Identity { store: self.store, file: record.id };
        let segment = match Segment::open(map.bytes(), identity, &verified) {
            Ok(segment) => segment,
            Err(error) => {
                self.findings.push(finding(Error::format(path, error)));
                return;
            }
        };
        let before = self.findings.len();
        let findings = &mut self.findings;
        segment.verify(deep, &mut |error| findings.push(finding(Error::format(path.clone(), error))));
        for part in &record.parts {
            match segment.part(part.part) {
                Err(error) => self.findings.push(finding(Error::format(path.clone(), error))),
                Ok(found) if found.summary != *part => {
                    let series = self.series_name(part.series);
                    let detail = format!("part {} is not the one that the manifest describes", part.part);
                    self.report(&path, 0, "M6", detail, series);
                }
                Ok(found) => self.types(&path, &found),
            }
        }
        if segment.part_count() as usize != record.parts.len() {
            let detail =
                format!("{} parts, the manifest counts {}", segment.part_count(), record.parts.len());
            self.report(&path, 0, "M6", detail, None);
        }
        if deep && self.findings.len() == before {
            match hash_of(&**self.storage, &name) {
                Ok(hash) if hash == record.hash => {}
                Ok(_) => {
                    self.report(&path, 0, "I3", "the hash of the whole file does not match".into(), None);
                }
                Err(error) => self.findings.push(finding(error)),
            }
        }
    }

    /// The columns of a part have the types that the schema says (A4).
    fn types(&mut self, path: &str, part: &PartIndex) {
        let Some(series) = self.manifest.series.get(&part.summary.series) else { return };
        let schemas = series.definitions.iter().filter_map(|definition| definition.1.as_ref());
        let stated: HashMap<ColumnId, ColumnType> =
            schemas.flat_map(|schema| &schema.columns).map(|column| (column.id, column.kind)).collect();
        for (id, kind) in &part.columns {
            if let Some(stated) = stated.get(id).filter(|stated| *stated != kind) {
                let detail =
                    format!("column {id} has type {}, the schema says {}", kind.name(), stated.name());
                self.report(path, 0, "S23", detail, self.series_name(series.id));
            }
        }
    }

    fn report(&mut self, file: &str, offset: u64, rule: &str, detail: String, series: Option<String>) {
        self.findings.push(Finding {
            file: file.to_owned(),
            offset,
            rule: rule.to_owned(),
            detail,
            series,
            damage: true,
        });
    }
}

/// An error of opening, as a finding.
fn finding(error: Error) -> Finding {
    let (file, offset, rule, detail) = match error {
        Error::Format { path, source } => (path, source.offset, source.rule.to_owned(), source.detail),
        Error::Inconsistent { path, rule, offset, detail } => (path, offset, rule.to_owned(), detail),
        Error::Io { action, path, source } => (path, 0, "I3".to_owned(), format!("{action}: {source}")),
        other => (String::new(), 0, String::new(), other.to_string()),
    };
    Finding { file, offset, rule, detail, series: None, damage: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryStorage;
    use crate::manifest::{Manifest, read_current};
    use crate::{Batch, Options, SeriesKey, Values, schema};

    /// Fuzzing found a store that verified and could not be read: its manifest gave a column another type.
    #[test]
    fn a_part_with_columns_of_other_types_than_the_schema_is_found() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let options = Options { background: false, ..Options::default() };
        let store = Store::create_on(storage.clone(), options).unwrap();
        let key = SeriesKey::new("A.X", "1m").unwrap();
        let mut transaction = store.begin();
        transaction.create_series(&key, schema::bars()).unwrap();
        let batch = ["open", "high", "low", "close", "volume"]
            .into_iter()
            .fold(Batch::new(vec![0]), |batch, name| batch.with(name, Values::F64(vec![1.5])));
        transaction.upsert(&key, batch).unwrap();
        transaction.commit().unwrap();
        store.seal().unwrap();
        store.close().unwrap();
        assert_eq!(verify_storage(&storage, true).unwrap(), []);

        let current = read_current(&*storage).unwrap().unwrap();
        let (mut manifest, _) = load(&*storage, &current).unwrap();
        let series = manifest.series.values_mut().find(|series| series.instrument == "A.X").unwrap();
        series.definitions[0].1.as_mut().unwrap().columns[0].kind = ColumnType::I64;
        let id = manifest.state.next_file;
        manifest.state.next_file += 1;
        Manifest::create(storage.clone(), current.store, 0, manifest, id).unwrap();
        let findings = verify_storage(&storage, false).unwrap();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].rule == "S23" && findings[0].damage, "{findings:?}");
        assert_eq!(findings[0].series.as_deref(), Some("A.X 1m"));
    }
}
