//! What the comparison was to show, beside what it shows, and why where it does not: from the figures.

use crate::figures::{Figures, Sizes, Workload, geometric_mean};
use crate::measure::seconds;

/// One aim: what is asked, what was measured on each file, whether that meets it.
pub(crate) struct Aim {
    pub(crate) asked: String,
    /// What the cells of a line are.
    pub(crate) heads: Vec<&'static str>,
    pub(crate) lines: Vec<Line>,
    /// The figure that is furthest from the aim, and on what.
    pub(crate) measured: String,
    pub(crate) on: String,
    /// The same by a reader that has read before and keeps what it decoded, where first touches count as well.
    pub(crate) open: String,
    pub(crate) met: Option<bool>,
}

/// One file of an aim.
pub(crate) struct Line {
    pub(crate) on: String,
    pub(crate) cells: Vec<String>,
    pub(crate) met: bool,
    /// Why it is missed, in figures.
    pub(crate) why: String,
}

impl Aim {
    pub(crate) fn is_measured(&self) -> bool {
        self.met.is_some() || !self.lines.is_empty()
    }

    /// How many of the files miss it.
    pub(crate) fn missed(&self) -> String {
        let missed = self.lines.iter().filter(|line| !line.met).count();
        if self.lines.len() < 2 || self.met.is_none() {
            String::new()
        } else {
            format!("{missed} of {}", self.lines.len())
        }
    }
}

/// Bytes per row of the smallest Parquet that `shared/data/INDEX.md` states, of the five files that it does.
const LISTED: [(&str, f64); 5] = [
    ("EOSUSD.BITFINEX-1m", 16.79),
    ("LTCUSD.BITFINEX-1m", 16.40),
    ("BTCUSD.BITFINEX-1m", 16.14),
    (crate::data::LISTED_MONTH, 8.10),
    ("ADAUSDT_1m", 10.15),
];

/// The settings that the aims name: doubles by snappy, by zstd of both levels with and without a dictionary and by byte streams,
/// integers of 64 bits as deltas with and without zstd, ALP; pages as they are by default.
pub(crate) fn is_named(name: &str) -> bool {
    is_parquet(name) && !name.contains("i32") && !name.contains("pages of") && !name.contains("ALP zstd")
}

/// Whether a peer is Parquet under zstd, with numbers in any form and any pages.
fn is_zstd(name: &str) -> bool {
    is_parquet(name) && name.contains("zstd")
}

/// Deltas without anything above them, in 32 bits or 64.
fn is_delta(name: &str) -> bool {
    is_parquet(name) && name.ends_with("DELTA")
}

pub(crate) fn is_parquet(name: &str) -> bool {
    name.starts_with("parquet")
}

/// The setting of Parquet in a peer's name.
pub(crate) fn setting(name: &str) -> &str {
    name.trim_start_matches("parquet ")
}

/// The name of a file of ours without where it is from; a path and a series of many as they are.
pub(crate) fn short(table: &str) -> &str {
    if table.contains(['/', ':']) { table } else { table.split('.').next().unwrap_or(table) }
}

/// A list of files with a factor each, at most as much as is aimed at.
struct Ratios<'a>(Vec<(&'a Sizes, f64)>);

impl<'a> Ratios<'a> {
    fn of(
        sizes: &'a [Sizes],
        wanted: impl Fn(&Sizes) -> bool,
        ratio: impl Fn(&Sizes) -> Option<f64>,
    ) -> Self {
        Self(sizes.iter().filter(|file| wanted(file)).filter_map(|file| Some((file, ratio(file)?))).collect())
    }

    fn mean(self, asked: impl Into<String>, most: f64) -> Aim {
        let values: Vec<f64> = self.0.iter().map(|entry| entry.1).collect();
        let mean = geometric_mean(&values);
        Aim {
            asked: asked.into(),
            heads: Vec::new(),
            lines: Vec::new(),
            measured: mean.map_or("not measured".to_owned(), |mean| format!("{mean:.3}")),
            open: String::new(),
            on: format!("the mean of {} files", values.len()),
            met: mean.map(|mean| mean <= most),
        }
    }

    /// Each file against the aim; `why` is told of those that miss it.
    fn each(self, asked: impl Into<String>, most: f64, why: impl Fn(&Sizes) -> String) -> Aim {
        let worst = self.0.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let line = |(file, ratio): &(&Sizes, f64)| Line {
            on: file.file.clone(),
            cells: vec![format!("{ratio:.3}")],
            met: *ratio <= most,
            why: if *ratio <= most { String::new() } else { why(file) },
        };
        Aim {
            asked: asked.into(),
            heads: vec!["measured"],
            measured: worst.map_or("not measured".to_owned(), |worst| format!("{:.3}", worst.1)),
            open: String::new(),
            on: worst.map_or(String::new(), |worst| worst.0.file.clone()),
            met: worst.map(|worst| worst.1 <= most),
            lines: self.0.iter().map(line).collect(),
        }
    }
}

/// Why a file is larger than a multiple of some bytes: what its columns take of what that allows.
pub(crate) fn over(file: &Sizes, contender: &str, allowed_bytes: f64) -> String {
    let rows = file.rows as f64;
    let allowed = allowed_bytes / rows;
    let of = |column: &str| file.column(contender, column).unwrap_or(0) as f64 / rows;
    let prices: f64 = ["open", "high", "low", "close"].into_iter().map(of).sum();
    let volume = of("volume");
    if prices > 0.0 {
        return if prices >= allowed {
            format!(
                "the four prices alone take {prices:.2} B a row of the {allowed:.2} allowed, volume {volume:.2} more"
            )
        } else if volume >= allowed {
            format!(
                "volume alone takes {volume:.2} B a row of the {allowed:.2} allowed, the prices {prices:.2} more"
            )
        } else {
            format!(
                "volume takes {volume:.2} B a row of the {allowed:.2} allowed and leaves {:.2}; the prices take {prices:.2}",
                allowed - volume
            )
        };
    }
    let mut columns: Vec<(String, f64)> =
        file.columns().into_iter().map(|name| (name.clone(), of(&name))).collect();
    columns.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (mut sum, mut named) = (0.0, Vec::new());
    for (name, bytes) in columns {
        sum += bytes;
        named.push(format!("{name} {bytes:.2}"));
        if sum > allowed {
            break;
        }
    }
    format!("{} B a row, {sum:.2} of the {allowed:.2} allowed", named.join(", "))
}

pub(crate) fn of_sizes(figures: &Figures<'_>) -> Vec<Aim> {
    let sizes = figures.sizes();
    let klines = |file: &Sizes| file.kind == "klines";
    let ticks = |file: &Sizes| file.kind == "ticks";
    let adjusted = |file: &Sizes| file.kind == "daily" && file.file.contains("adjusted");
    let listed = |file: &Sizes| LISTED.iter().any(|listed| listed.0 == file.file);
    let (dense, cold) = ("tapestore dense", "tapestore cold");
    let any = |own: &'static str| move |file: &Sizes| file.ratio(own);
    let named = |own: &'static str| move |file: &Sizes| file.ratio_among(own, is_named);
    let stated = |own: &'static str| {
        move |file: &Sizes| {
            let stated = LISTED.iter().find(|listed| listed.0 == file.file)?.1;
            Some(file.per_row(own)? / stated)
        }
    };
    let smallest = |file: &Sizes| file.smallest_parquet().map_or(0.0, |found| found.1 as f64);
    let smallest_named = |file: &Sizes| file.smallest_among(is_named).map_or(0.0, |found| found.1 as f64);
    let rows_of = |file: &Sizes| {
        LISTED.iter().find(|listed| listed.0 == file.file).map_or(0.0, |listed| listed.1 * file.rows as f64)
    };
    let pco = |file: &Sizes| Some(file.bytes(cold)? as f64 / file.bytes("pco per column")? as f64);
    let all = "the smallest Parquet of any setting here";
    let of_list = "the smallest of the settings that the aim names";
    let index = "what shared/data/INDEX.md states";
    vec![
        Ratios::of(&sizes, klines, any(dense)).mean(format!("bars, dense ≤ 0.50 × {all}, mean"), 0.50),
        Ratios::of(&sizes, klines, named(dense)).mean(format!("bars, dense ≤ 0.50 × {of_list}, mean"), 0.50),
        Ratios::of(&sizes, listed, stated(dense)).mean(format!("bars, dense ≤ 0.50 × {index}, mean"), 0.50),
        Ratios::of(&sizes, klines, any(dense)).each(
            format!("bars, dense ≤ 0.56 × {all}, every file"),
            0.56,
            |file| over(file, dense, 0.56 * smallest(file)),
        ),
        Ratios::of(&sizes, klines, named(dense)).each(
            format!("bars, dense ≤ 0.56 × {of_list}, every file"),
            0.56,
            |file| over(file, dense, 0.56 * smallest_named(file)),
        ),
        Ratios::of(&sizes, listed, stated(dense)).each(
            format!("bars, dense ≤ 0.56 × {index}, every file"),
            0.56,
            |file| over(file, dense, 0.56 * rows_of(file)),
        ),
        Ratios::of(&sizes, klines, any(cold)).mean(format!("bars, cold ≤ 0.40 × {all}, mean"), 0.40),
        Ratios::of(&sizes, klines, named(cold)).mean(format!("bars, cold ≤ 0.40 × {of_list}, mean"), 0.40),
        Ratios::of(&sizes, listed, stated(cold)).mean(format!("bars, cold ≤ 0.40 × {index}, mean"), 0.40),
        Ratios::of(&sizes, klines, pco).mean("bars, cold ≤ 0.80 × pco of each column, mean", 0.80),
        Ratios::of(&sizes, adjusted, any(dense)).each(
            format!("adjusted daily prices, dense ≤ {all}"),
            1.0,
            |file| over(file, dense, smallest(file)),
        ),
        Ratios::of(&sizes, ticks, any(dense)).each(
            format!("trades and quotes, dense ≤ 0.70 × {all}"),
            0.70,
            |file| over(file, dense, 0.70 * smallest(file)),
        ),
        Ratios::of(&sizes, ticks, named(dense)).each(
            format!("trades and quotes, dense ≤ 0.70 × {of_list}"),
            0.70,
            |file| over(file, dense, 0.70 * smallest_named(file)),
        ),
    ]
}

/// What is needed to hold a workload against an aim.
struct Held<'a> {
    workloads: &'a [Workload],
    sizes: Vec<Sizes>,
}

impl<'a> Held<'a> {
    fn named(&self, name: &str) -> impl Iterator<Item = &'a Workload> + use<'a> {
        let name = name.to_owned();
        self.workloads.iter().filter(move |workload| workload.name == name)
    }

    fn beside(&self, name: &str, suffix: &str, table: &str) -> Option<&'a Workload> {
        self.workloads
            .iter()
            .find(|other| other.name.strip_suffix(suffix) == Some(name) && other.table == table)
    }

    /// Numbers that a workload reads: rows by columns, or rows of its one column.
    fn values(&self, workload: &Workload) -> f64 {
        if workload.bytes == workload.rows * 8 {
            return workload.rows as f64;
        }
        let columns =
            self.sizes.iter().find(|file| file.file == workload.table).map(|file| file.columns().len());
        columns.map_or(workload.bytes as f64 / 8.0, |columns| (workload.rows * columns as u64) as f64)
    }

    /// One tier against the fastest of some peers, on every table; the least of its factors is held against the aim.
    fn factors(&self, asked: String, name: &str, own: &str, pass: fn(&str) -> bool, least: f64) -> Aim {
        let mut lines = Vec::new();
        let mut worst: Option<(f64, String)> = None;
        let mut open = f64::INFINITY;
        let single = !matches!(name, "day" | "year");
        for workload in self.named(name) {
            let (Some(peer), Some(time)) = (workload.fastest(pass), workload.median(own)) else { continue };
            let first = self.beside(name, "-first", &workload.table);
            let first = first.and_then(|first| Some((first.fastest(pass)?.median(), first.median(own)?)));
            let uncached = workload.median(&format!("{own}, decoded blocks not kept"));
            let copy = workload.median("memory: copy");
            let factor = peer.median() / time;
            open = open.min(factor);
            let factors =
                [Some(factor), first.map(|(peer, own)| peer / own), uncached.map(|own| peer.median() / own)];
            let found = factors.iter().flatten().copied().fold(f64::INFINITY, f64::min);
            let slowest = workload
                .times
                .iter()
                .filter(|times| pass(&times.name))
                .map(|times| times.median() / time)
                .fold(factor, f64::max);
            let text = |factor: Option<f64>| factor.map_or("–".to_owned(), |factor| format!("{factor:.1}"));
            let met = found >= least;
            let told = Told {
                own,
                name,
                time,
                first: first.map(|first| first.1),
                uncached,
                copy,
                values: self.values(workload),
                allowed: peer.median() / least,
                first_allowed: first.map(|first| first.0 / least),
                dense: workload.median("tapestore dense"),
            };
            let mut cells = vec![text(Some(factor)), text(factors[1])];
            if name == "day" {
                cells.push(text(factors[2]));
            }
            cells.extend([setting(&peer.name).to_owned(), format!("{slowest:.1}")]);
            if single {
                cells.push(text(copy.map(|copy| peer.median() / copy)));
            }
            if worst.as_ref().is_none_or(|worst| found < worst.0) {
                worst = Some((found, short(&workload.table).to_owned()));
            }
            lines.push(Line {
                on: short(&workload.table).to_owned(),
                cells,
                met,
                why: if met { String::new() } else { told.why() },
            });
        }
        let mut heads = vec!["measured", "at first touch"];
        if name == "day" {
            heads.push("no decoded block kept");
        }
        heads.extend(["fastest peer", "against the slowest"]);
        if single {
            heads.push("a copy would reach");
        }
        let met = worst.is_some().then(|| lines.iter().all(|line| line.met));
        let (measured, on) = worst
            .map_or(("not measured".to_owned(), String::new()), |(found, on)| (format!("{found:.1} ×"), on));
        let open = if open.is_finite() { format!("{open:.1} ×") } else { String::new() };
        Aim { asked, heads, lines, measured, on, open, met }
    }

    /// Speeds of the raw columns, in MB/s.
    fn speeds(
        &self,
        asked: String,
        name: &str,
        own: &str,
        least: Option<f64>,
        why: &dyn Fn(&Workload, f64) -> String,
    ) -> Aim {
        let also: &[(&str, &'static str)] = if name == "scan" {
            &[("scan-first", "with opening and at first touch"), ("rows", "into the caller's buffers")]
        } else {
            &[]
        };
        let giga = least.is_some_and(|least| least >= 1000.0);
        let text = |speed: f64| if giga { format!("{:.1}", speed / 1e3) } else { format!("{speed:.0}") };
        let speed_of = |workload: &Workload| Some(workload.bytes as f64 / workload.median(own)? / 1e6);
        let mut lines = Vec::new();
        let mut worst: Option<(f64, String)> = None;
        for workload in self.named(name) {
            let Some(speed) = speed_of(workload) else { continue };
            let beside = |other: &str| {
                self.workloads
                    .iter()
                    .find(|found| found.name == other && found.table == workload.table)
                    .and_then(speed_of)
            };
            let mut cells = vec![text(speed)];
            cells.extend(also.iter().map(|(other, _)| beside(other).map_or("–".to_owned(), text)));
            let met = least.is_none_or(|least| speed >= least);
            let on = short(&workload.table).to_owned();
            if worst.as_ref().is_none_or(|worst| speed < worst.0) {
                worst = Some((speed, on.clone()));
            }
            lines.push(Line { on, cells, met, why: if met { String::new() } else { why(workload, speed) } });
        }
        let heads = std::iter::once("measured").chain(also.iter().map(|also| also.1)).collect();
        let met = (worst.is_some() && least.is_some()).then(|| lines.iter().all(|line| line.met));
        let unit = if giga { "GB/s" } else { "MB/s" };
        let (measured, on) = worst.map_or(("not measured".to_owned(), String::new()), |(found, on)| {
            (format!("{} {unit}", text(found)), on)
        });
        Aim { asked, heads, lines, measured, on, open: String::new(), met }
    }

    /// How many times as long as the fastest Parquet the dense tier takes; nothing is aimed at.
    fn slower(&self, asked: &str, name: &str) -> Aim {
        let mut lines = Vec::new();
        let mut worst: Option<(f64, String)> = None;
        for workload in self.named(name) {
            let (Some(peer), Some(own)) = (workload.fastest(is_parquet), workload.median("tapestore dense"))
            else {
                continue;
            };
            let times = own / peer.median();
            let on = short(&workload.table).to_owned();
            if worst.as_ref().is_none_or(|worst| times > worst.0) {
                worst = Some((times, on.clone()));
            }
            let cells = vec![format!("{times:.1}"), setting(&peer.name).to_owned()];
            lines.push(Line { on, cells, met: true, why: String::new() });
        }
        let (measured, on) = worst.map_or(("not measured".to_owned(), String::new()), |(found, on)| {
            (format!("{found:.1} × as long"), on)
        });
        Aim {
            open: String::new(),
            asked: asked.to_owned(),
            heads: vec!["measured", "fastest peer"],
            lines,
            measured,
            on,
            met: None,
        }
    }
}

/// What is known where an aim is missed; seconds of one run.
struct Told<'a> {
    own: &'a str,
    name: &'a str,
    time: f64,
    first: Option<f64>,
    uncached: Option<f64>,
    copy: Option<f64>,
    values: f64,
    allowed: f64,
    first_allowed: Option<f64>,
    dense: Option<f64>,
}

impl Told<'_> {
    fn why(&self) -> String {
        let each = |time: f64| format!("{:.2}", time / self.values * 1e9);
        let hot = self.own == "tapestore hot";
        match self.name {
            "day" => {
                let mut out = Vec::new();
                if self.time > self.allowed {
                    let kept = self.dense.filter(|_| hot).map_or(String::new(), |dense| {
                        format!(": each day is copied out of the mapped file, column by column, and nothing is kept decoded; dense finds the decoded blocks in its cache, {}", seconds(dense))
                    });
                    out.push(format!(
                        "takes {} of {} allowed{kept}",
                        seconds(self.time),
                        seconds(self.allowed)
                    ));
                }
                if let Some(uncached) = self.uncached.filter(|uncached| *uncached > self.allowed) {
                    out.push(format!("{} with no block kept: the blocks of 1,024 rows that the day lies in are decoded whole", seconds(uncached)));
                }
                if let (Some(first), Some(allowed)) = (self.first, self.first_allowed)
                    && first > allowed
                {
                    out.push(format!(
                        "at first touch {} of {} allowed: the index is read and checked, pages are mapped",
                        seconds(first),
                        seconds(allowed)
                    ));
                }
                out.join("; ")
            }
            "year" => match (self.first, self.first_allowed) {
                (Some(first), Some(allowed)) if first > allowed => format!(
                    "at first touch {} of {} allowed: the part's index is read and checked before {} of answering",
                    seconds(first),
                    seconds(allowed),
                    seconds(self.time)
                ),
                _ => format!("takes {} of {} allowed", seconds(self.time), seconds(self.allowed)),
            },
            _ => {
                let (own, allowed) = (each(self.time), each(self.allowed));
                let copy = self.copy.map_or("–".to_owned(), each);
                let out_of_reach = self.copy.is_some_and(|copy| copy > self.allowed);
                let first = match (self.first, self.first_allowed) {
                    (Some(first), Some(allowed)) if first > allowed => {
                        format!("at first touch {} of {}", each(first), each(allowed))
                    }
                    _ => String::new(),
                };
                if hot && self.time <= self.allowed {
                    // What is shown is not read; what is missed is the first touch.
                    return format!(
                        "{first} ns a value allowed: every byte is checked once; a copy takes {copy}"
                    );
                }
                let what = if hot { "nothing is decoded, but copied out of the mapped file: " } else { "" };
                let first = if first.is_empty() { first } else { format!("; {first}") };
                if out_of_reach {
                    format!(
                        "{what}{own} ns a value; the aim allows {allowed}, less than a copy takes ({copy}){first}"
                    )
                } else {
                    format!("{what}{own} ns a value of {allowed} allowed; a copy takes {copy}{first}")
                }
            }
        }
    }
}

pub(crate) fn of_times(figures: &Figures<'_>) -> Vec<Aim> {
    let workloads = figures.workloads();
    let held = Held { workloads: &workloads, sizes: figures.sizes() };
    let mut out = Vec::new();
    for tier in ["dense", "hot"] {
        let own = format!("tapestore {tier}");
        let mut add = |what: &str, name: &str, pass: fn(&str) -> bool, least: f64| {
            out.push(held.factors(format!("{what} ≥ {least:.0} × ({tier})"), name, &own, pass, least));
        };
        add("scan into reused buffers against Parquet zstd", "rows", is_zstd, 10.0);
        add("scan into reused buffers against uncompressed DELTA", "rows", is_delta, 3.0);
        add("close only against Parquet zstd", "close", is_zstd, 15.0);
        add("one day of all against Parquet zstd", "day", is_zstd, 50.0);
    }
    let values = |workload: &Workload| held.values(workload);
    let slow = |least: f64, own: &'static str| {
        move |workload: &Workload, speed: f64| {
            let each = |speed: f64| workload.bytes as f64 / (speed * 1e6) / values(workload) * 1e9;
            let of_ticks = workload.bytes != workload.rows * 48;
            let coded = match (own, of_ticks) {
                ("encode", true) => "; a model is tried for every column of ticks: decision 0024",
                ("encode", false) => {
                    "; prices of more places than most are tried with further digits: decision 0028"
                }
                (_, true) => "; sizes, venues and conditions are coded: decisions 0024, 0027",
                _ => "",
            };
            format!("{:.1} ns a value of {:.1} allowed{coded}", each(speed), each(least))
        }
    };
    out.push(held.speeds(
        "decoding all columns ≥ 3 GB/s, where possible (dense)".to_owned(),
        "scan",
        "tapestore dense",
        Some(3000.0),
        &slow(3000.0, "scan"),
    ));
    let own_scan: fn(&str) -> bool = |name| name == "tapestore dense, by a scan";
    out.push(held.factors(
        "range aggregates ≥ 100 × a scan (dense)".to_owned(),
        "year",
        "tapestore dense",
        own_scan,
        100.0,
    ));
    for tier in ["dense", "hot"] {
        let asked = format!("encode ≥ 200 MB/s of raw columns per core ({tier})");
        out.push(held.speeds(
            asked,
            "encode",
            &format!("tapestore {tier}"),
            Some(200.0),
            &slow(200.0, "encode"),
        ));
    }
    let cold = "encode, MB/s of raw columns per core (cold; no aim)".to_owned();
    out.push(held.speeds(cold, "encode", "tapestore cold", None, &|_, _| String::new()));
    out.push(held.slower("opening, beside the fastest Parquet (dense; no aim)", "open"));
    out.push(held.slower(
        "writing durably, every row through the log, beside the fastest Parquet (dense; no aim)",
        "write",
    ));
    out
}

/// Where some Parquet reads faster than the dense tier.
pub(crate) struct Beaten {
    pub(crate) workload: String,
    pub(crate) table: String,
    pub(crate) setting: String,
    pub(crate) times: f64,
}

/// The reading workloads that are held against Parquet's, and of them those that Parquet wins.
pub(crate) fn beaten(workloads: &[Workload]) -> (usize, Vec<Beaten>) {
    let told_apart = ["encode", "open", "write", "checksum", "checksum-close"];
    let (mut all, mut out) = (0, Vec::new());
    for workload in workloads.iter().filter(|w| !told_apart.contains(&w.name.as_str())) {
        let (Some(peer), Some(own)) = (workload.fastest(is_parquet), workload.median("tapestore dense"))
        else {
            continue;
        };
        all += 1;
        let times = own / peer.median();
        if times > 1.0 {
            out.push(Beaten {
                workload: workload.name.clone(),
                table: short(&workload.table).to_owned(),
                setting: setting(&peer.name).to_owned(),
                times,
            });
        }
    }
    out.sort_by(|a, b| b.times.total_cmp(&a.times));
    (all, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn times(seconds: f64) -> Value {
        json!({ "cpu": [seconds], "wall": [seconds] })
    }

    #[test]
    fn a_factor_is_against_the_fastest_setting_of_any_form() {
        let value = json!({ "times": [{ "workload": "rows", "table": "T.X", "rows": 1, "bytes": 48, "contenders": {
            "tapestore dense": times(1.0),
            "parquet f64 ALP zstd 3": times(40.0),
            "parquet i32 DELTA zstd 3": times(9.0),
            "parquet i64 DELTA": times(2.0),
            "memory: copy": times(0.5),
        }}]});
        let aims = of_times(&Figures(&value));
        let zstd = &aims[0];
        assert_eq!((zstd.measured.as_str(), zstd.on.as_str(), zstd.met), ("9.0 ×", "T", Some(false)));
        assert_eq!(zstd.lines[0].cells, ["9.0", "–", "i32 DELTA zstd 3", "40.0", "18.0"]);
        assert_eq!(aims[1].measured, "2.0 ×", "deltas without zstd");
        assert!(
            zstd.lines[0].why.contains("of 150000000.00 allowed; a copy takes 83333333.33"),
            "{}",
            zstd.lines[0].why
        );
    }

    #[test]
    fn the_first_touch_counts_and_is_told() {
        let table = |name: &str, own: f64| {
            json!({ "workload": name, "table": "T", "rows": 0, "bytes": 0, "contenders": {
            "tapestore hot": times(own), "parquet f64 zstd 3": times(100e-6) }})
        };
        let value = json!({ "times": [table("day", 1e-6), table("day-first", 20e-6)] });
        let aims = of_times(&Figures(&value));
        let day =
            aims.iter().find(|aim| aim.asked == "one day of all against Parquet zstd ≥ 50 × (hot)").unwrap();
        assert_eq!((day.measured.as_str(), day.met), ("5.0 ×", Some(false)));
        assert_eq!(day.open, "100.0 ×");
        assert!(
            day.lines[0].why.starts_with("at first touch 20.00 µs of 2.00 µs allowed"),
            "{}",
            day.lines[0].why
        );
    }

    #[test]
    fn a_file_that_is_too_large_says_what_takes_its_bytes() {
        let file = |prices: u64, volume: u64| {
            json!({ "sizes": [{ "file": "f", "kind": "klines", "rows": 100, "raw_bytes": 4800, "contenders": {
                "tapestore dense": { "bytes": prices * 4 + volume, "columns": { "open": prices, "high": prices, "low": prices, "close": prices, "volume": volume } },
                "parquet i32 DELTA zstd 19": { "bytes": 1000, "columns": {} },
                "parquet i64 DELTA": { "bytes": 2000, "columns": {} },
            }}]})
        };
        let why = |value: &Value, asked: &str| {
            let aims = of_sizes(&Figures(value));
            aims.into_iter().find(|aim| aim.asked.starts_with(asked)).unwrap().lines.remove(0).why
        };
        let any = "bars, dense ≤ 0.56 × the smallest Parquet of any";
        assert!(why(&file(150, 100), any).starts_with("the four prices alone take 6.00 B a row of the 5.60"));
        assert!(why(&file(50, 600), any).starts_with("volume alone takes 6.00 B a row of the 5.60"));
        assert!(why(&file(100, 300), any).contains("leaves 2.60; the prices take 4.00"));
        let named = "bars, dense ≤ 0.56 × the smallest of the settings that the aim names";
        assert_eq!(why(&file(100, 300), named), "", "the narrow integers are not among them");
    }
}
