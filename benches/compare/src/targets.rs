//! What the comparison was to show, beside what it shows.

use crate::figures::{Figures, Sizes, Workload, geometric_mean};

/// One target: what is asked, what was measured, whether that meets it.
pub(crate) struct Target {
    pub(crate) asked: String,
    pub(crate) measured: String,
    pub(crate) met: Option<bool>,
    /// What nothing on this machine could go beyond, where that is known.
    pub(crate) bound: String,
    /// Why it is missed.
    pub(crate) why: &'static str,
}

/// Bytes per row of the smallest Parquet that `shared/data/INDEX.md` states, of the five files that it does.
const LISTED: [(&str, f64); 5] = [
    ("EOSUSD.BITFINEX-1m", 16.79),
    ("LTCUSD.BITFINEX-1m", 16.40),
    ("BTCUSD.BITFINEX-1m", 16.14),
    (crate::data::LISTED_MONTH, 8.10),
    ("ADAUSDT_1m", 10.15),
];

/// Of these files, as a multiple of what is stated.
fn listed(sizes: &[Sizes], contender: &str) -> Vec<(&'static str, f64)> {
    let of = |(name, stated): (&'static str, f64)| {
        let found = sizes.iter().find(|sizes| sizes.file == name)?;
        Some((name, found.per_row(contender)? / stated))
    };
    LISTED.into_iter().filter_map(of).collect()
}

fn target(asked: impl Into<String>, measured: Option<(String, bool)>) -> Target {
    let (measured, met) = measured.map_or(("not measured".to_owned(), None), |(text, met)| (text, Some(met)));
    Target { asked: asked.into(), measured, met, bound: String::new(), why: "" }
}

pub(crate) fn all(figures: &Figures<'_>) -> Vec<Target> {
    let (sizes, workloads) = (figures.sizes(), figures.workloads());
    let mut out = size_targets(&sizes);
    out.extend(time_targets(&workloads));
    out
}

fn ratios<'a>(sizes: &'a [Sizes], kind: &str, contender: &str) -> Vec<(&'a str, f64)> {
    let kind = sizes.iter().filter(|sizes| sizes.kind == kind);
    kind.filter_map(|sizes| Some((sizes.file.as_str(), sizes.ratio(contender)?))).collect()
}

fn mean(list: &[(&str, f64)], most: f64) -> Option<(String, bool)> {
    let values: Vec<f64> = list.iter().map(|entry| entry.1).collect();
    let (name, ratio) = list.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let mean = geometric_mean(&values)?;
    Some((
        format!("{mean:.3} × over {} files; {ratio:.3} × on {name}, the worst", values.len()),
        mean <= most,
    ))
}

fn worst(list: &[(&str, f64)], most: f64) -> Option<(String, bool)> {
    let (name, ratio) = list.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let over = list.iter().filter(|entry| entry.1 > most).count();
    let met = if over == 0 { String::new() } else { format!("; {over} of {} files miss it", list.len()) };
    Some((format!("{ratio:.3} × on {name}, the worst{met}"), over == 0))
}

fn size_targets(sizes: &[Sizes]) -> Vec<Target> {
    let dense = ratios(sizes, "klines", "tapestore dense");
    let cold = ratios(sizes, "klines", "tapestore cold");
    let pco: Vec<(&str, f64)> = sizes
        .iter()
        .filter(|sizes| sizes.kind == "klines")
        .filter_map(|sizes| {
            let ratio = sizes.bytes("tapestore cold")? as f64 / sizes.bytes("pco per column")? as f64;
            Some((sizes.file.as_str(), ratio))
        })
        .collect();
    let mut adjusted = ratios(sizes, "daily", "tapestore dense");
    adjusted.retain(|entry| entry.0.contains("adjusted"));
    let ticks = ratios(sizes, "ticks", "tapestore dense");
    let entropy =
        "volume alone, whose digits are as good as random, takes most of what is asked for: decision 0025";
    let ticks_entropy = "what coders that remember the row before reach without blocks and checksums is about as large, and times of trades stay packed: decisions 0024, 0025, 0027";
    let stated = "the same against the figures per file of shared/data/INDEX.md";
    let (listed_dense, listed_cold) = (listed(sizes, "tapestore dense"), listed(sizes, "tapestore cold"));
    let all = vec![
        target(
            "dense ≤ 0.50 × the smallest Parquet, geometric mean over all kline files",
            mean(&dense, 0.50),
        ),
        target("dense ≤ 0.56 × the smallest Parquet on every kline file", worst(&dense, 0.56)),
        target("cold ≤ 0.40 × the smallest Parquet, geometric mean over all kline files", mean(&cold, 0.40)),
        target(format!("dense ≤ 0.50, geometric mean: {stated}"), mean(&listed_dense, 0.50)),
        target(format!("dense ≤ 0.56 on every one: {stated}"), worst(&listed_dense, 0.56)),
        target(format!("cold ≤ 0.40, geometric mean: {stated}"), mean(&listed_cold, 0.40)),
        target("cold ≤ 0.80 × pco of each f64 column, geometric mean over all kline files", mean(&pco, 0.80)),
        target("adjusted daily prices no larger than the smallest Parquet (dense)", worst(&adjusted, 1.0)),
        target("trades and quotes ≤ 0.70 × the smallest Parquet (dense)", worst(&ticks, 0.70)),
    ];
    let why = |target: Target| {
        let why = match target.asked.split(' ').next() {
            Some("trades") => ticks_entropy,
            Some("adjusted") => "",
            _ => entropy,
        };
        Target { why, ..target }
    };
    all.into_iter().map(why).collect()
}

/// Whether a peer is Parquet under zstd, with numbers in any form and any pages.
fn is_zstd(name: &str) -> bool {
    name.starts_with("parquet") && name.contains("zstd")
}

fn is_parquet(name: &str) -> bool {
    name.starts_with("parquet")
}

/// The setting of Parquet in a peer's name.
fn setting(name: &str) -> &str {
    name.trim_start_matches("parquet ")
}

fn is_delta(name: &str) -> bool {
    name == "parquet i64 DELTA"
}

/// How many times as fast as the fastest of some peers; as the slowest of them; and what it is at the first touch, when checksums
/// are computed, and without the cache of decoded blocks. The least of these is held against the aim.
fn factor(
    workloads: &[Workload],
    name: &str,
    own_name: &str,
    pass: fn(&str) -> bool,
    least: f64,
) -> Option<(String, bool)> {
    let mut texts = Vec::new();
    let mut met = true;
    for workload in workloads.iter().filter(|workload| workload.name == name) {
        let (Some(own), Some(peer)) = (workload.median(own_name), workload.fastest(pass)) else { continue };
        let factor = peer.median() / own;
        let first = workloads.iter().find(|other| {
            other.table == workload.table && other.name.strip_suffix("-first") == Some(&workload.name)
        });
        let touched = first.and_then(|first| Some(first.fastest(pass)?.median() / first.median(own_name)?));
        let uncached = workload.median(&format!("{own_name}, decoded blocks not kept"));
        let uncached = uncached.map(|own| peer.median() / own);
        met &= [Some(factor), touched, uncached].into_iter().flatten().all(|factor| factor >= least);
        let others = workload.times.iter().filter(|times| pass(&times.name) && times.name != peer.name);
        let slowest = others.map(|times| times.median() / own).fold(factor, f64::max);
        let slowest = if slowest > factor { format!(", up to {slowest:.1} ×") } else { String::new() };
        let also = |factor: Option<f64>, when: &str| {
            factor.map_or(String::new(), |factor| format!(", {factor:.1} × {when}"))
        };
        texts.push(format!(
            "{factor:.1} × on {}{}{} ({}{slowest})",
            short(&workload.table),
            also(touched, "at first touch"),
            also(uncached, "with no decoded block kept"),
            setting(&peer.name)
        ));
    }
    (!texts.is_empty()).then(|| (texts.join("; "), met))
}

/// How many times as fast as the fastest of some peers a copy of the same rows in memory is: whoever fills a caller's buffers writes
/// as many bytes as that copy does.
fn copied(workloads: &[Workload], name: &str, pass: fn(&str) -> bool) -> String {
    let workloads = workloads.iter().filter(|workload| workload.name == name);
    let factor = |workload: &Workload| {
        let factor = workload.fastest(pass)?.median() / workload.median("memory: copy")?;
        Some(format!("{factor:.1} × on {}", short(&workload.table)))
    };
    workloads.filter_map(factor).collect::<Vec<_>>().join("; ")
}

pub(crate) fn short(table: &str) -> &str {
    table.split('.').next().unwrap_or(table)
}

fn time_targets(workloads: &[Workload]) -> Vec<Target> {
    let mut out = Vec::new();
    for tier in ["dense", "hot"] {
        let own = format!("tapestore {tier}");
        let own = own.as_str();
        let mut add = |what: &str, name: &str, pass: fn(&str) -> bool, least: f64, why: &'static str| {
            let asked = format!("{what} ≥ {least:.0} × ({tier})");
            let bound = copied(workloads, name, pass);
            out.push(Target { bound, why, ..target(asked, factor(workloads, name, own, pass, least)) });
        };
        let written = "beyond what a copy reaches, or a number takes a few cycles to decode: decision 0016";
        let decoded = "a number takes a few cycles to decode, and is checked once; so many times as fast would be about one cycle: decision 0016";
        let looked_up = "at first touch the file is mapped, its index read and checked; of blocks that were not kept all 1,024 rows are decoded";
        add("scan into reused buffers against Parquet zstd", "rows", is_zstd, 10.0, written);
        add("scan into reused buffers against uncompressed DELTA", "rows", is_delta, 3.0, written);
        add("close only against Parquet zstd", "close", is_zstd, 15.0, decoded);
        add("one day of all against Parquet zstd", "day", is_zstd, 50.0, looked_up);
    }
    let speeds = |name: &str, own: &str| -> Vec<(String, f64)> {
        let workloads = workloads.iter().filter(|workload| workload.name == name);
        workloads.filter_map(|w| Some((w.table.clone(), w.bytes as f64 / w.median(own)? / 1e6))).collect()
    };
    let decoded = speeds("scan", "tapestore dense");
    let beside = |name: &str, table: &str, when: &str| {
        let found = speeds(name, "tapestore dense").into_iter().find(|other| other.0 == table);
        found.map_or(String::new(), |(_, speed)| format!(", {:.1} {when}", speed / 1e3))
    };
    let text = |(table, speed): &(String, f64)| {
        let first = beside("scan-first", table, "with opening and at first touch");
        let rows = beside("rows", table, "into the caller's buffers");
        format!("{:.1} GB/s on {}{first}{rows}", speed / 1e3, short(table))
    };
    let texts: Vec<String> = decoded.iter().map(text).collect();
    let met = decoded.iter().all(|(_, speed)| *speed >= 3000.0);
    // By the pieces that an open reader decodes; what else a program waits for stands beside it.
    let why = "sizes, venues and conditions of trades are coded, about 3 ns each: decisions 0024, 0027";
    let decoding = target(
        "decoding all columns ≥ 3 GB/s, where possible (dense)",
        (!texts.is_empty()).then(|| (texts.join("; "), met)),
    );
    out.push(Target { why, ..decoding });
    let own_scan: fn(&str) -> bool = |name| name == "tapestore dense, by a scan";
    let aggregates = factor(workloads, "year", "tapestore dense", own_scan, 100.0);
    let why = "the scan that it is held against takes a fraction of a nanosecond a row, the answer some microseconds; at first touch its index is read and checked";
    out.push(Target { why, ..target("range aggregates ≥ 100 × a scan (dense)", aggregates) });
    for tier in ["dense", "hot", "cold"] {
        let own = format!("tapestore {tier}");
        let speeds = speeds("encode", &own);
        let texts: Vec<String> =
            speeds.iter().map(|(table, speed)| format!("{speed:.0} MB/s on {}", short(table))).collect();
        let met = speeds.iter().all(|(_, speed)| *speed >= 200.0);
        let measured = (!texts.is_empty()).then(|| (texts.join("; "), met));
        if tier == "cold" {
            let told = target("encode, raw columns per core (cold; no aim)", measured);
            out.push(Target { met: None, ..told });
            continue;
        }
        let why = "a model is tried for every column of ticks: decision 0024";
        let asked = format!("encode ≥ 200 MB/s of raw columns per core ({tier})");
        out.push(Target { why, ..target(asked, measured) });
    }
    for (name, what) in [("open", "opening"), ("write", "writing durably, every row through the log")] {
        let told =
            target(format!("{what}, beside the fastest Parquet (dense; no aim)"), slower(workloads, name));
        out.push(Target { met: None, ..told });
    }
    out
}

/// How many times as long as the fastest Parquet the dense tier takes.
fn slower(workloads: &[Workload], name: &str) -> Option<(String, bool)> {
    let text = |workload: &Workload| {
        let peer = workload.fastest(is_parquet)?;
        let times = workload.median("tapestore dense")? / peer.median();
        Some(format!("{times:.1} × as long on {} ({})", short(&workload.table), setting(&peer.name)))
    };
    let texts: Vec<String> = workloads.iter().filter(|w| w.name == name).filter_map(text).collect();
    (!texts.is_empty()).then(|| (texts.join("; "), true))
}

/// Where some Parquet reads faster than the dense tier: workload, table, setting and how many times as fast.
pub(crate) fn beaten(workloads: &[Workload]) -> Vec<String> {
    let told_apart = ["encode", "open", "write"];
    let text = |workload: &Workload| {
        let peer = workload.fastest(is_parquet)?;
        let times = workload.median("tapestore dense")? / peer.median();
        let place = format!("`{}` of {}", workload.name, short(&workload.table));
        (times > 1.0).then(|| format!("{place} ({}, {times:.2} × as fast)", setting(&peer.name)))
    };
    workloads.iter().filter(|w| !told_apart.contains(&w.name.as_str())).filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_factor_is_against_the_fastest_setting_of_any_form() {
        let times = |seconds: f64| json!({ "cpu": [seconds], "wall": [seconds] });
        let value = json!({ "times": [{ "workload": "rows", "table": "T.X", "rows": 1, "bytes": 8, "contenders": {
            "tapestore dense": times(1.0),
            "parquet f64 ALP zstd 3": times(4.0),
            "parquet i64 DELTA zstd 3": times(3.0),
            "parquet i64 DELTA": times(2.0),
        }}]});
        let workloads = Figures(&value).workloads();
        let (text, met) = factor(&workloads, "rows", "tapestore dense", is_zstd, 3.5).unwrap();
        assert_eq!(text, "3.0 × on T (i64 DELTA zstd 3, up to 4.0 ×)");
        assert!(!met);
    }
}
