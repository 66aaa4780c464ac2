//! What a store must give: every series at every version that can be read, to the bit.

use std::collections::BTreeMap;

use tapestore::{AsOf, CommitInfo, Error, ErrorClass, Rows, SeriesKey, Snapshot, Store, Values, View};
use xxhash_rust::xxh3::xxh3_64;

/// What a store gave when it was whole.
#[derive(Debug)]
pub struct Truth {
    /// The newest version.
    pub newest: u64,
    /// Every series that any version shows.
    pub keys: Vec<SeriesKey>,
    /// Versions that can be read, ascending, with the series that each shows and the digests of their content.
    pub versions: BTreeMap<u64, BTreeMap<usize, u64>>,
    /// Its commits.
    pub commits: Vec<CommitInfo>,
    /// Its snapshots.
    pub snapshots: Vec<Snapshot>,
}

/// What was read of a damaged store, without anything wrong in it.
#[derive(Debug, Default)]
pub struct Given {
    /// The newest version.
    pub version: u64,
    /// Reads that were refused.
    pub errors: Vec<Error>,
    /// Whether snapshots, and which versions can be read, are as they were.
    pub same_retention: bool,
}

/// Puts values into a buffer, so that equal buffers mean equal bits.
fn put_values(values: &Values, out: &mut Vec<u8>) {
    match values {
        Values::I64(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
        Values::F64(values) => values.iter().for_each(|value| out.extend(value.to_bits().to_le_bytes())),
        Values::F32(values) => values.iter().for_each(|value| out.extend(value.to_bits().to_le_bytes())),
        Values::U8(values) => out.extend(values),
        Values::Str(values) => values.iter().for_each(|text| {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        }),
    }
}

fn put_rows(rows: &Rows, out: &mut Vec<u8>) {
    rows.time().iter().for_each(|time| out.extend(time.to_le_bytes()));
    for (range, version) in rows.set.version.pieces(0..rows.len()) {
        out.extend([range.end as u64, version].map(u64::to_le_bytes).as_flattened());
    }
    for runs in [&rows.set.source, &rows.set.flags] {
        for (range, value) in runs.pieces(0..rows.len()) {
            out.extend([range.end as u64, u64::from(value)].map(u64::to_le_bytes).as_flattened());
        }
    }
    for (column, (_, values)) in rows.columns.iter().zip(&rows.set.columns) {
        out.extend(column.name.as_bytes());
        out.push(0);
        put_values(&values.values, out);
        out.extend((0..rows.len()).map(|row| u8::from(values.is_null(row))));
    }
}

/// Rows with their provenance, gaps, coverage and absences of one series.
///
/// # Errors
/// Those of reading.
pub fn digest(view: &View, key: &SeriesKey, buffer: &mut Vec<u8>) -> Result<u64, Error> {
    buffer.clear();
    put_rows(&view.read(key).provenance().rows()?, buffer);
    if key.frame().timeframe().is_some() {
        for run in view.coverage(key, None)? {
            buffer.extend([run.start, run.end].map(i64::to_le_bytes).as_flattened());
        }
        for gap in view.gaps(key, None)? {
            buffer.extend([gap.start, gap.end, gap.missing as i64].map(i64::to_le_bytes).as_flattened());
        }
        for range in view.absences(key)? {
            buffer.extend([range.start, range.end].map(i64::to_le_bytes).as_flattened());
        }
    }
    Ok(xxh3_64(buffer))
}

impl Truth {
    /// Reads everything of a whole store.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of(store: &Store) -> Result<Self, Error> {
        let newest = store.view().version();
        let mut keys: Vec<SeriesKey> = Vec::new();
        let mut versions = BTreeMap::new();
        let mut buffer = Vec::new();
        for version in 0..=newest {
            let view = match store.as_of(&AsOf::Version(version)) {
                Ok(view) => view,
                Err(error) if error.kind() == ErrorClass::NotFound => continue,
                Err(error) => return Err(error),
            };
            let mut contents = BTreeMap::new();
            for key in view.keys() {
                let content = digest(&view, &key, &mut buffer)?;
                let index = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                    keys.push(key);
                    keys.len() - 1
                });
                contents.insert(index, content);
            }
            versions.insert(version, contents);
        }
        let commits = store.log(usize::MAX)?;
        Ok(Self { newest, keys, versions, commits, snapshots: store.snapshots() })
    }

    /// Whether a series at a version has to be read: its content is that of its neighbours on both sides otherwise.
    pub fn is_edge(&self, version: u64, key: usize, newest: u64) -> bool {
        let at = |contents: Option<&BTreeMap<usize, u64>>| contents.and_then(|all| all.get(&key).copied());
        let here = at(self.versions.get(&version));
        let before = at(self.versions.range(..version).next_back().map(|entry| entry.1));
        let after = at(self.versions.range(version + 1..).next().map(|entry| entry.1));
        version == newest || here != before || here != after
    }

    /// Reads a store that is perhaps damaged and compares. Without `only`, all series.
    ///
    /// # Errors
    /// Anything that is neither exact nor an error.
    pub fn compare(&self, store: &Store, only: Option<&[usize]>) -> Result<Given, String> {
        let newest = store.view().version();
        let mut given = Given { version: newest, same_retention: true, ..Given::default() };
        if newest > self.newest {
            return Err(format!("version {newest} is shown; there never was one above {}", self.newest));
        }
        let mut buffer = Vec::new();
        for version in 0..=newest {
            let view = match (store.as_of(&AsOf::Version(version)), self.versions.get(&version)) {
                (Ok(view), Some(_)) => view,
                (Err(error), None) if error.kind() == ErrorClass::NotFound => continue,
                (Ok(_), None) => {
                    given.same_retention = false;
                    continue;
                }
                (Err(error), _) => {
                    given.errors.push(error);
                    continue;
                }
            };
            self.compare_view(&view, only, newest, &mut buffer, &mut given)?;
        }
        self.compare_rest(store, newest, &mut given)?;
        Ok(given)
    }

    fn compare_view(
        &self,
        view: &View,
        only: Option<&[usize]>,
        newest: u64,
        buffer: &mut Vec<u8>,
        given: &mut Given,
    ) -> Result<(), String> {
        let version = view.version();
        let contents = &self.versions[&version];
        let shown = view.keys();
        let expected = |key: &SeriesKey| contents.keys().any(|index| self.keys[*index] == *key);
        if shown.len() != contents.len() || !shown.iter().all(expected) {
            return Err(format!("version {version} shows the series {shown:?}"));
        }
        for (index, content) in contents {
            let wanted = only.is_none_or(|only| only.contains(index));
            if !wanted || !self.is_edge(version, *index, newest) {
                continue;
            }
            let key = &self.keys[*index];
            match digest(view, key, buffer) {
                Ok(found) if found == *content => {}
                Ok(_) => return Err(format!("{key} at version {version} has another content")),
                Err(error) => given.errors.push(error),
            }
        }
        Ok(())
    }

    /// The log of commits, and the snapshots.
    fn compare_rest(&self, store: &Store, newest: u64, given: &mut Given) -> Result<(), String> {
        match store.log(usize::MAX) {
            Ok(commits) => {
                let known = self.commits.iter().filter(|commit| commit.version <= newest);
                if !known.eq(&commits) {
                    return Err("the log of commits is another".to_owned());
                }
            }
            Err(error) => given.errors.push(error),
        }
        if store.snapshots() != self.snapshots {
            given.same_retention = false;
        }
        Ok(())
    }
}
