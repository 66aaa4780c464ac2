//! The part of the report on what was aimed at: an overview, where Parquet wins, and a table for each aim.

use std::fmt::Write as _;

use crate::contender::Result;
use crate::figures::{Figures, Sizes, Workload};
use crate::report::{TIERS, number};
use crate::targets::{self, Aim, is_named, setting};

/// Writes all of it.
pub(crate) fn write(figures: &Figures<'_>, text: &mut String) -> Result<()> {
    let (sizes, times) = (targets::of_sizes(figures), targets::of_times(figures));
    writeln!(text, "## Aimed at, and met or not\n")?;
    writeln!(
        text,
        "*Measured* is the figure that is furthest from the aim, of all files and, for times, of an open reader, of one at first touch \
         and of one that keeps no decoded block; the tables below have each. *Read before* is the least factor of a reader that is open \
         and has read the same before, as a program does that loads day after day. *Smallest Parquet of any setting here* is of {} settings, \
         among them narrow integers and pages of 1 MiB, which the aim does not name; those that it names are {}.\n",
        crate::parquet::Parquet::all().len(),
        named_settings().join(", ")
    )?;
    writeln!(
        text,
        "| aimed at | measured | on | met | files that miss it | read before |\n|-|-:|-|-|-:|-:|"
    )?;
    for aim in sizes.iter().chain(&times).filter(|aim| aim.is_measured()) {
        let met = match aim.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        writeln!(
            text,
            "| {} | {} | {} | {met} | {} | {} |",
            aim.asked,
            aim.measured,
            aim.on,
            aim.missed(),
            aim.open
        )?;
    }
    writeln!(text)?;
    beaten(&figures.workloads(), text)?;
    missed_sizes(&figures.sizes(), text)?;
    writeln!(
        text,
        "A factor of times is against the *fastest* setting of the peer, which is named, and beside it against the slowest. *A copy would \
         reach* says how many times as fast as that setting this machine copies the same rows from one place in memory to another, in \
         the same run: who fills a caller's buffers writes as many bytes, so an aim far beyond it is out of anyone's reach here. *At first \
         touch* the reader was opened just before: checksums are computed in that time, and pages mapped. The hot tier shows the bytes \
         of `close` where they are in the file: nothing is read for its first factor there.\n"
    )?;
    times.iter().try_for_each(|aim| aim_table(aim, text))
}

/// The settings that the aims name, as they are called here.
fn named_settings() -> Vec<String> {
    let all = crate::parquet::Parquet::all();
    let names = all.iter().map(crate::contender::Contender::name).filter(|name| is_named(name));
    names.map(|name| format!("`{}`", setting(&name))).collect()
}

fn beaten(workloads: &[Workload], text: &mut String) -> Result<()> {
    let (all, found) = targets::beaten(workloads);
    if found.is_empty() {
        return Ok(());
    }
    writeln!(text, "### Where some Parquet reads faster than Tapestore dense\n")?;
    writeln!(text, "{} of {all} tables of reading.\n", found.len())?;
    writeln!(text, "| read | of | setting | times as fast |\n|-|-|-|-:|")?;
    for one in found {
        writeln!(text, "| `{}` | {} | {} | {:.2} |", one.workload, one.table, one.setting, one.times)?;
    }
    writeln!(text)?;
    Ok(())
}

/// Files of bars, trades and quotes against their aims, and what takes their bytes.
fn missed_sizes(sizes: &[Sizes], text: &mut String) -> Result<()> {
    let bars: Vec<&Sizes> = sizes.iter().filter(|file| file.kind == "klines" && file.rows > 10_000).collect();
    let saved = |file: &Sizes, columns: &[&str]| {
        let of = |own: &str| -> Option<u64> { columns.iter().map(|column| file.column(own, column)).sum() };
        Some((of(TIERS[1])? as f64 - of(TIERS[2])? as f64) / file.rows as f64)
    };
    let range = |columns: &[&str]| {
        let all: Vec<f64> = bars.iter().filter_map(|file| saved(file, columns)).collect();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        format!("{least:.2} to {most:.2}")
    };
    let kinds = [
        ("klines", "Bars against what is aimed at", 0.56),
        ("ticks", "Trades and quotes against what is aimed at", 0.70),
    ];
    for (kind, title, most) in kinds {
        let files: Vec<&Sizes> = sizes.iter().filter(|file| file.kind == kind).collect();
        if files.is_empty() {
            continue;
        }
        writeln!(text, "### {title}\n")?;
        writeln!(
            text,
            "Sizes as multiples of the smallest Parquet, of any setting here and of those that the aim names; *why* is of the dense tier, \
             whose aim is {most} × that of any setting for every file.\n"
        )?;
        if kind == "klines" && !bars.is_empty() {
            writeln!(
                text,
                "The dense tier packs bars in blocks and does not code them, so that they decode fast. Coded by the cold tier, with models \
                 of what came before, volume takes {} bytes a row less and the four prices together {} less (files of more than 10,000 \
                 rows). What adaptive coders without blocks and checksums would take stands in decision 0025.\n",
                range(&["volume"]),
                range(&["open", "high", "low", "close"])
            )?;
        }
        writeln!(
            text,
            "| file | dense, any | dense, named | cold, any | cold, named | cold by pco | met | why not |\n|-|-:|-:|-:|-:|-:|-|-|"
        )?;
        for file in files {
            let ratio = |own: &str, pass: fn(&str) -> bool| number(file.ratio_among(own, pass), 3);
            let pco =
                file.bytes(TIERS[2]).zip(file.bytes("pco per column")).map(|(a, b)| a as f64 / b as f64);
            let met = file.ratio(TIERS[1]).is_some_and(|ratio| ratio <= most);
            let allowed = file.smallest_parquet().map_or(0.0, |found| found.1 as f64) * most;
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                file.file,
                ratio(TIERS[1], |_| true),
                ratio(TIERS[1], is_named),
                ratio(TIERS[2], |_| true),
                ratio(TIERS[2], is_named),
                number(pco, 3),
                if met { "yes" } else { "**no**" },
                if met { String::new() } else { targets::over(file, TIERS[1], allowed) }
            )?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn aim_table(aim: &Aim, text: &mut String) -> Result<()> {
    if aim.lines.is_empty() {
        return Ok(());
    }
    let judged = aim.met.is_some();
    writeln!(text, "### {}\n", aim.asked)?;
    let (head, rule) = if judged { (" met | why not |", "-|-|") } else { ("", "") };
    writeln!(text, "| on | {} |{head}", aim.heads.join(" | "))?;
    writeln!(text, "|-|{}{rule}", "-:|".repeat(aim.heads.len()))?;
    for line in &aim.lines {
        let judgement = match (judged, line.met) {
            (false, _) => String::new(),
            (true, true) => " yes | |".to_owned(),
            (true, false) => format!(" **no** | {} |", line.why),
        };
        writeln!(text, "| {} | {} |{judgement}", line.on, line.cells.join(" | "))?;
    }
    writeln!(text)?;
    Ok(())
}
