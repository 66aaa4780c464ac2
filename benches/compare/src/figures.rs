//! The figures of a run, as the report asks for them.

use serde_json::Value;

use crate::measure::{median, quantile};

/// Sizes and times, read from the file of figures.
pub(crate) struct Figures<'a>(pub(crate) &'a Value);

/// Samples of one contender in one workload.
pub(crate) struct Times {
    pub(crate) name: String,
    samples: Vec<f64>,
}

impl Times {
    pub(crate) fn median(&self) -> f64 {
        median(&self.samples)
    }

    pub(crate) fn at(&self, quantile_at: f64) -> f64 {
        quantile(&self.samples, quantile_at)
    }

    /// What this took more than another in the same round, round by round: what slowed both falls out.
    pub(crate) fn beyond(&self, other: &Self) -> Vec<f64> {
        self.samples.iter().zip(&other.samples).map(|(own, other)| own - other).collect()
    }

    pub(crate) fn rounds(&self) -> usize {
        self.samples.len()
    }
}

/// One workload on one table.
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// When, and at which commit.
    pub(crate) taken: String,
    /// Bytes of files, where they are part of what was measured.
    pub(crate) file_bytes: Vec<(String, u64)>,
    pub(crate) times: Vec<Times>,
}

impl Workload {
    pub(crate) fn median(&self, contender: &str) -> Option<f64> {
        self.times.iter().find(|times| times.name == contender).map(Times::median)
    }

    /// The fastest contender whose name passes.
    pub(crate) fn fastest(&self, pass: impl Fn(&str) -> bool) -> Option<&Times> {
        let peers = self.times.iter().filter(|times| pass(&times.name));
        peers.min_by(|a, b| a.median().total_cmp(&b.median()))
    }
}

/// Sizes of one file.
pub(crate) struct Sizes {
    pub(crate) file: String,
    pub(crate) kind: String,
    pub(crate) rows: u64,
    pub(crate) raw_bytes: u64,
    contenders: Vec<(String, Value)>,
}

impl Sizes {
    pub(crate) fn bytes(&self, contender: &str) -> Option<u64> {
        self.entry(contender)?["bytes"].as_u64()
    }

    /// Everything whose size was taken.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.contenders.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn entry(&self, contender: &str) -> Option<&Value> {
        self.contenders.iter().find(|(name, _)| name == contender).map(|(_, entry)| entry)
    }

    pub(crate) fn per_row(&self, contender: &str) -> Option<f64> {
        Some(self.bytes(contender)? as f64 / self.rows as f64)
    }

    /// Bytes of a column.
    pub(crate) fn column(&self, contender: &str, column: &str) -> Option<u64> {
        self.entry(contender)?["columns"][column].as_u64()
    }

    pub(crate) fn columns(&self) -> Vec<String> {
        let columns = self.entry("tapestore dense").and_then(|entry| entry["columns"].as_object());
        columns.map(|columns| columns.keys().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn note(&self, contender: &str) -> &str {
        self.entry(contender).and_then(|entry| entry["note"].as_str()).unwrap_or("")
    }

    fn parquets(&self) -> impl Iterator<Item = &(String, Value)> {
        self.contenders.iter().filter(|(name, _)| name.starts_with("parquet"))
    }

    /// The setting of Parquet that makes the smallest file.
    pub(crate) fn smallest_parquet(&self) -> Option<(&str, u64)> {
        self.smallest_among(|_| true)
    }

    /// The same of some settings.
    pub(crate) fn smallest_among(&self, pass: impl Fn(&str) -> bool) -> Option<(&str, u64)> {
        let sized =
            self.parquets().filter_map(|(name, entry)| Some((name.as_str(), entry["bytes"].as_u64()?)));
        sized.filter(|(name, _)| pass(name)).min_by_key(|(_, bytes)| *bytes)
    }

    /// The sum of the smallest that any setting of Parquet makes of each column; files do not mix so much by themselves.
    pub(crate) fn mixed_parquet(&self) -> Option<u64> {
        let smallest = |column: &String| {
            self.parquets().filter_map(|(_, entry)| entry["columns"][column].as_u64()).min()
        };
        self.columns().iter().filter(|column| *column != "symbol").map(smallest).sum()
    }

    /// Bytes against the smallest Parquet.
    pub(crate) fn ratio(&self, contender: &str) -> Option<f64> {
        self.ratio_among(contender, |_| true)
    }

    /// Bytes against the smallest Parquet of some settings.
    pub(crate) fn ratio_among(&self, contender: &str, pass: impl Fn(&str) -> bool) -> Option<f64> {
        Some(self.bytes(contender)? as f64 / self.smallest_among(pass)?.1 as f64)
    }

    /// When and at which commit the sizes of some contenders were taken, as far as they say.
    pub(crate) fn taken(&self, pass: impl Fn(&str) -> bool) -> Vec<String> {
        let told = |entry: &Value| {
            let taken = &entry["taken"];
            Some(format!("on {} at {}", taken["date"].as_str()?, taken["commit"].as_str()?))
        };
        let some = self.contenders.iter().filter(|(name, _)| pass(name));
        some.map(|(_, entry)| told(entry).unwrap_or_else(|| "before commits were stamped".to_owned()))
            .collect()
    }
}

impl Figures<'_> {
    pub(crate) fn sizes(&self) -> Vec<Sizes> {
        let list = self.0["sizes"].as_array().map_or(&[][..], Vec::as_slice);
        let read = |entry: &Value| Sizes {
            file: entry["file"].as_str().unwrap_or_default().to_owned(),
            kind: entry["kind"].as_str().unwrap_or_default().to_owned(),
            rows: entry["rows"].as_u64().unwrap_or(0),
            raw_bytes: entry["raw_bytes"].as_u64().unwrap_or(0),
            contenders: entry["contenders"]
                .as_object()
                .map(|map| map.iter().map(|(name, entry)| (name.clone(), entry.clone())).collect())
                .unwrap_or_default(),
        };
        list.iter().map(read).collect()
    }

    pub(crate) fn workloads(&self) -> Vec<Workload> {
        let list = self.0["times"].as_array().map_or(&[][..], Vec::as_slice);
        let samples = |entry: &Value, clock: &str| -> Vec<f64> {
            entry[clock]
                .as_array()
                .map(|list| list.iter().filter_map(Value::as_f64).collect())
                .unwrap_or_default()
        };
        let read = |entry: &Value| Workload {
            name: entry["workload"].as_str().unwrap_or_default().to_owned(),
            table: entry["table"].as_str().unwrap_or_default().to_owned(),
            rows: entry["rows"].as_u64().unwrap_or(0),
            bytes: entry["bytes"].as_u64().unwrap_or(0),
            taken: format!(
                "on {} at {}",
                entry["machine"]["date"].as_str().and_then(|date| date.split(' ').next()).unwrap_or("?"),
                entry["machine"]["commit"].as_str().unwrap_or("?")
            ),
            file_bytes: entry["file_bytes"]
                .as_object()
                .map(|map| {
                    map.iter().filter_map(|(tier, bytes)| Some((tier.clone(), bytes.as_u64()?))).collect()
                })
                .unwrap_or_default(),
            times: entry["contenders"]
                .as_object()
                .map(|map| {
                    map.iter()
                        .map(|(name, samples_of)| Times {
                            name: name.clone(),
                            samples: samples(samples_of, clock_of(entry["workload"].as_str().unwrap_or(""))),
                        })
                        .collect()
                })
                .unwrap_or_default(),
        };
        list.iter().map(read).collect()
    }
}

/// The clock that a workload is judged by: where waiting for a device is part of the work, the wall's; elsewhere that of
/// the processor, which other processes on the machine move least.
pub(crate) fn clock_of(workload: &str) -> &'static str {
    if matches!(workload, "write" | "day-cold") { "wall" } else { "cpu" }
}

/// The geometric mean; `None` of nothing.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_smallest_parquet_is_the_smallest_of_any_setting() {
        let value = json!({ "sizes": [{ "file": "f", "kind": "klines", "rows": 10, "raw_bytes": 480, "contenders": {
            "tapestore dense": { "bytes": 50, "columns": { "time": 1, "close": 40 } },
            "parquet a": { "bytes": 120, "columns": { "time": 20, "close": 80 } },
            "parquet b": { "bytes": 100, "columns": { "time": 10, "close": 85 } },
            "pco per column": { "bytes": 10, "columns": {} },
        }}]});
        let sizes = Figures(&value).sizes();
        assert_eq!(sizes[0].smallest_parquet(), Some(("parquet b", 100)));
        assert_eq!(sizes[0].mixed_parquet(), Some(90));
        assert_eq!(sizes[0].ratio("tapestore dense"), Some(0.5));
    }

    #[test]
    fn means_are_geometric() {
        assert!((geometric_mean(&[0.5, 2.0]).unwrap() - 1.0).abs() < 1e-12);
        assert!(geometric_mean(&[]).is_none());
    }
}
