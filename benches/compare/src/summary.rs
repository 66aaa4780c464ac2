//! The head of the report: what the figures say in five sentences, and the words that it uses.

use std::fmt::Write as _;

use crate::contender::Result;
use crate::figures::{Figures, Sizes, Workload, geometric_mean};
use crate::targets::{self, is_parquet, short};

const DENSE: &str = "tapestore dense";
const COLD: &str = "tapestore cold";

/// Writes both; `built_here` is of a run that was built for the machine's own instructions, if there was one.
pub(crate) fn write(figures: &Figures<'_>, built_here: &[Workload], text: &mut String) -> Result<()> {
    let (sizes, workloads) = (figures.sizes(), figures.workloads());
    let sentences = [
        size(&sizes),
        read("Scan", "reading all columns into the caller's buffers", "rows", &workloads),
        read("Close", "reading the one column `close`", "close", &workloads),
        read("Day", "reading one day out of all", "day", &workloads),
        losses(figures, &workloads, built_here),
    ];
    let told: Vec<String> = sentences.into_iter().flatten().collect();
    if !told.is_empty() {
        writeln!(text, "## In short\n")?;
        told.iter().try_for_each(|sentence| writeln!(text, "- {sentence}"))?;
        writeln!(text)?;
    }
    words(text)
}

/// The least and the greatest of some numbers, or the one number.
fn span(values: &[f64], digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (least, most) = (format!("{least:.digits$}"), format!("{most:.digits$}"));
    if least == most { least } else { format!("{least} to {most}") }
}

fn size(sizes: &[Sizes]) -> Option<String> {
    let mut parts = Vec::new();
    for (kind, what) in [
        ("klines", "bars"),
        ("ticks", "trades and quotes"),
        ("books", "updates of books"),
        ("daily", "daily prices"),
    ] {
        let files = || sizes.iter().filter(|file| file.kind == kind);
        let ratios = |own: &str| -> Vec<f64> { files().filter_map(|file| file.ratio(own)).collect() };
        if let (Some(dense), Some(cold)) = (geometric_mean(&ratios(DENSE)), geometric_mean(&ratios(COLD))) {
            parts.push(format!("{what} {dense:.2} dense and {cold:.2} cold ({} files)", files().count()));
        }
    }
    (!parts.is_empty()).then(|| {
        format!(
            "**Size**: of the bytes of the smallest of {} Parquet settings, a Tapestore file takes, in the geometric mean: {}.",
            crate::parquet::Parquet::all().len(),
            parts.join("; ")
        )
    })
}

/// How many times as fast as the fastest Parquet the dense tier is.
fn read(title: &str, what: &str, name: &str, workloads: &[Workload]) -> Option<String> {
    let factor = |workload: &Workload| {
        let factor = workload.fastest(is_parquet)?.median() / workload.median(DENSE)?;
        Some(factor).filter(|factor| factor.is_finite())
    };
    let factors = |name: &str| -> Vec<(String, f64)> {
        let workloads = workloads.iter().filter(|workload| workload.name == name);
        workloads
            .filter_map(|workload| Some((short(&workload.table).to_owned(), factor(workload)?)))
            .collect()
    };
    let told = |list: &[(String, f64)]| {
        // Of many files the ends will do.
        if list.len() > 6 {
            let factors: Vec<f64> = list.iter().map(|entry| entry.1).collect();
            return format!("{} × as fast on {} files", span(&factors, 2), list.len());
        }
        let each = list.iter().map(|(table, factor)| format!("{} × as fast on {table}", times(*factor)));
        each.collect::<Vec<_>>().join(", ")
    };
    let (again, first) = (factors(name), factors(&format!("{name}-first")));
    let first =
        if first.is_empty() { String::new() } else { format!("; by a reader just opened, {}", told(&first)) };
    (!again.is_empty()).then(|| {
        format!(
            "**{title}**: {what}, the dense tier is, against the fastest Parquet, {}{first}.",
            told(&again)
        )
    })
}

/// A factor with as many digits as tell something.
fn times(factor: f64) -> String {
    if factor < 10.0 { format!("{factor:.2}") } else { format!("{factor:.0}") }
}

fn losses(figures: &Figures<'_>, workloads: &[Workload], built_here: &[Workload]) -> Option<String> {
    let mut parts = Vec::new();
    let faster = [
        (workloads, "some Parquet reads faster than the dense tier", " tables of reading"),
        (built_here, "when both are built for this machine alone,", ""),
    ];
    for (workloads, who, tables) in faster {
        let (all, found) = targets::beaten(workloads);
        if let Some(worst) = found.first() {
            parts.push(format!(
                "{who} in {} of {all}{tables}, at most {:.1} × as fast (`{}` of {}, {})",
                found.len(),
                worst.times,
                worst.workload,
                worst.table,
                worst.setting
            ));
        }
    }
    for (name, what) in [("write", "writing durably"), ("open", "opening")] {
        let times =
            |workload: &Workload| Some(workload.median(DENSE)? / workload.fastest(is_parquet)?.median());
        let of: Vec<f64> =
            workloads.iter().filter(|workload| workload.name == name).filter_map(times).collect();
        if !of.is_empty() {
            parts.push(format!("{what} takes {} × as long as the fastest Parquet", span(&of, 1)));
        }
    }
    let aims: Vec<bool> = targets::of_sizes(figures)
        .iter()
        .chain(&targets::of_times(figures))
        .filter_map(|aim| aim.met)
        .collect();
    let missed = aims.iter().filter(|met| !**met).count();
    if missed > 0 {
        parts.push(format!("{missed} of the {} aims below are missed", aims.len()));
    }
    (!parts.is_empty()).then(|| format!("**Where it loses**: {}.", parts.join("; ")))
}

fn words(text: &mut String) -> Result<()> {
    writeln!(text, "## Words\n")?;
    writeln!(text, "| | |\n|-|-|")?;
    for (word, meaning) in [
        (
            "hot, dense, cold",
            "Tapestore's three tiers, one format: hot keeps columns as they are in memory, so that nothing is decoded; dense packs them, small and fast to decode; cold codes them, smallest and slowest. A store moves rows from one to the next as they age.",
        ),
        (
            "bytes/row",
            "size of the whole file by its rows; *raw* is 8 bytes for a number and the length of a text",
        ),
        ("`scan`", "all columns are decoded piece by piece, and each piece is let go again"),
        ("`rows`", "all columns are decoded into buffers of the caller, as nanoseconds, doubles and text"),
        ("`close`", "the one column of closing prices, piece by piece"),
        ("`day`", "the rows of one day, out of a file of months or years"),
        (
            "`…-first`",
            "the same by a reader that was opened just before: checksums are computed and pages mapped in that time; without it the reader has read the same before",
        ),
        (
            "`f64`, `i64`, `i32`",
            "Parquet with prices as doubles, or as whole numbers of 64 or 32 bits whose scales the application keeps",
        ),
        (
            "DELTA, ALP, BYTE_STREAM_SPLIT, dict",
            "how Parquet encodes a column: packed differences, decimals found in doubles, bytes of like weight together, a dictionary",
        ),
        ("snappy, zstd 3, zstd 19", "what compresses Parquet's pages after that, and how hard it tries"),
        (
            "smallest, fastest Parquet",
            "of all settings here, chosen anew for each file and each question; no single setting is both",
        ),
        ("times as fast", "time of the peer by that of Tapestore; below 1 the peer is faster"),
    ] {
        writeln!(text, "| {word} | {meaning} |")?;
    }
    writeln!(text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_built_for_the_machine_is_told_beside() {
        let value = json!({ "times": [{ "workload": "close", "table": "T", "rows": 1, "bytes": 8, "contenders": {
            "tapestore dense": { "cpu": [3.0] }, "parquet f64 ALP": { "cpu": [2.0] } } }] });
        let mut text = String::new();
        write(&Figures(&json!({})), &Figures(&value).workloads(), &mut text).unwrap();
        assert!(
            text.contains(
                "built for this machine alone, in 1 of 1, at most 1.5 × as fast (`close` of T, f64 ALP)"
            ),
            "{text}"
        );
    }

    #[test]
    fn of_many_files_the_ends_are_told() {
        let day = |number: u32| {
            let times = |seconds: f64| json!({ "cpu": [seconds], "wall": [seconds] });
            json!({ "workload": "day", "table": format!("T{number}"), "rows": 0, "bytes": 0, "contenders": {
                "tapestore dense": times(1.0), "parquet i64 DELTA": times(f64::from(number)) } })
        };
        let value = json!({ "times": (2..=9).map(day).collect::<Vec<_>>() });
        let mut text = String::new();
        write(&Figures(&value), &[], &mut text).unwrap();
        assert!(text.contains("against the fastest Parquet, 2.00 to 9.00 × as fast on 8 files."), "{text}");
    }

    #[test]
    fn sentences_follow_from_the_figures_and_are_left_out_without() {
        let times = |seconds: f64| json!({ "cpu": [seconds], "wall": [seconds] });
        let day = |name: &str, own: f64| {
            json!({ "workload": name, "table": "T.X", "rows": 0, "bytes": 0, "contenders": {
                "tapestore dense": times(own), "parquet f64 snappy": times(4.0), "parquet i64 DELTA": times(2.0) } })
        };
        let value = json!({ "times": [day("day", 0.5), day("day-first", 8.0)] });
        let mut text = String::new();
        write(&Figures(&value), &[], &mut text).unwrap();
        assert!(text.contains("- **Day**: reading one day out of all, the dense tier is, against the fastest Parquet, 4.00 × as fast on T; by a reader just opened, 0.25 × as fast on T."), "{text}");
        assert!(
            text.contains("in 1 of 2 tables of reading, at most 4.0 × as fast (`day-first` of T, i64 DELTA)"),
            "{text}"
        );
        assert!(!text.contains("built for this machine"), "{text}");
        assert!(!text.contains("**Size**") && !text.contains("**Scan**"), "{text}");
    }
}
