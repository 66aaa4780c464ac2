//! The page.

use std::error::Error;
use std::fmt::Write as _;

use tapestore_quality::Rule;
use tapestore_quality::hazard::SourceHazard;
use tapestore_quality::inject::Fault;

use crate::daily::Days;
use crate::measure::Measured;
use crate::read::Series;

const HEAD: &str = "# Calibration

Written by `TAPE_DATA=DIRECTORY cargo run --release -p tapestore-quality --example calibrate`; do not edit. Known faults are put into real
bars with a fixed seed (`src/inject.rs`), the store is checked as `tape quality` checks it, and findings are compared with what was done.
Real bars hold faults of their own that nobody knows of: what is called a false alarm here may be one of them.
";

pub(crate) fn page(
    series: &[Series],
    measured: &Measured,
    days: &[Days],
    hazards: &[(String, SourceHazard)],
) -> Result<String, Box<dyn Error>> {
    let mut out = HEAD.to_owned();
    writeln!(out, "\n## Series\n\n| series | what | bars |\n| --- | --- | --- |")?;
    for one in series {
        writeln!(out, "| {} | {} | {} |", one.name, one.what, one.bars.time.len())?;
    }
    recall(&mut out, measured)?;
    precision(&mut out, measured)?;
    thresholds(&mut out, measured)?;
    daily(&mut out, days)?;
    hazard(&mut out, hazards)?;
    Ok(out)
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

fn recall(out: &mut String, measured: &Measured) -> Result<(), Box<dyn Error>> {
    writeln!(
        out,
        "\n## Recall\n\nShare of faults that were found, by a bar in them, or the one after, that is marked and is not on the clean series: by any \
         rule that makes a bar unusable or says that it is missing, and by each rule alone. \
         Volumes are changed after the first eleven days of a series: before, there is nothing to hold them against. A rule of severity *low*, such as \
         *activity*, tells and leaves the bar usable, so it is not among what counts as found.\n\n| fault | faults | found | by rule |\n\
         | --- | --- | --- | --- |"
    )?;
    for (fault, hits) in &measured.hits {
        let mut rules: Vec<(Rule, usize)> =
            hits.by_rule.iter().map(|(rule, count)| (*rule, *count)).collect();
        rules.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
        let rules =
            rules.iter().map(|(rule, count)| format!("{rule} {}", share(*count as u64, hits.faults as u64)));
        let rules: Vec<String> = rules.collect();
        let found = share(hits.any as u64, hits.faults as u64);
        writeln!(out, "| {} | {} | {found} | {} |", fault.name(), hits.faults, rules.join(", "))?;
    }
    Ok(())
}

fn precision(out: &mut String, measured: &Measured) -> Result<(), Box<dyn Error>> {
    writeln!(
        out,
        "\n## Precision and false alarms\n\nMarked bars over all faulty series, and the share of them that lies in a fault or just after it; then \
         without those that are marked on the clean series too, and without those within an hour after a fault, whose traces are \
         still in the windows. Last what the rule marks on the clean series, of 100,000 bars ({} in all).\n\n\
         | rule | severity | marked | precision | without those of the clean series | nor just after a fault | clean, of 100,000 |\n\
         | --- | --- | --- | --- | --- | --- | --- |",
        measured.bars
    )?;
    for (rule, counts) in &measured.counts {
        writeln!(
            out,
            "| {rule} | {} | {} | {} | {} | {} | {:.2} |",
            rule.severity().name(),
            counts.told,
            share(counts.right, counts.told),
            share(counts.right, counts.told - counts.before),
            share(counts.right, counts.told - counts.before - counts.after),
            counts.clean as f64 / measured.bars as f64 * 1e5
        )?;
    }
    Ok(())
}

fn thresholds(out: &mut String, measured: &Measured) -> Result<(), Box<dyn Error>> {
    writeln!(
        out,
        "\n## Thresholds\n\nRecall by size of the fault and marked bars of 100,000 on the clean series; the default is in bold."
    )?;
    for pair in measured.tried.chunk_by(|a, b| a.threshold == b.threshold) {
        let first = &pair[0];
        let sizes = match first.fault {
            Fault::Spike => ["0.3 to 1 %", "1 to 5 %", "5 to 20 %"],
            Fault::Volume => ["÷1,000 to ÷10", "×10 to ×100", "×100 to ×1,000"],
            _ => ["2 to 4 bars", "5 to 19", "20 to 60"],
        };
        writeln!(
            out,
            "\n`{}`, rule {}, {} of\n\n| value | {} | bars of 100,000 |\n| --- | --- | --- | --- | --- |",
            first.threshold,
            first.rule,
            first.fault.name(),
            sizes.join(" | ")
        )?;
        for tried in pair {
            let value =
                if tried.is_default { format!("**{}**", tried.value) } else { tried.value.to_string() };
            let sizes: Vec<String> =
                tried.sizes.iter().map(|(found, all)| share(*found as u64, *all as u64)).collect();
            writeln!(out, "| {value} | {} | {:.2} |", sizes.join(" | "), tried.alarms)?;
        }
    }
    Ok(())
}

fn daily(out: &mut String, days: &[Days]) -> Result<(), Box<dyn Error>> {
    writeln!(
        out,
        "\n## Days of sessions\n\nReal daily bars of SPY and AIG, each changed by itself, held against minutes made of the trades of five days of October \
         2013 (rule *coarser*). A day holds auctions and trades that are in no minute: what is found are days that hold less than their minutes. Too \
         much volume is no such thing.\n\n| day | days | found |\n| --- | --- | --- |"
    )?;
    for (change, all, found) in days {
        writeln!(out, "| {change} | {all} | {} |", share(*found, *all))?;
    }
    Ok(())
}

fn hazard(out: &mut String, hazards: &[(String, SourceHazard)]) -> Result<(), Box<dyn Error>> {
    writeln!(
        out,
        "\n## Hazard of gaps\n\nHow likely a bar is to be missing, by minute of the week (Beta(1, 99) before any bar), learned from the first 70 % of \
         a series and scored on the rest (Brier score), beside two forecasts that know no minute: `base`, the share that was missing in the first \
         part, and `flat`, that share with the same prior in every cell. Where gaps grow fewer, as they did on Bitfinex, the prior gains on \
         the base by itself; what the minute is worth is told beside `flat`. Skill is called real if the gain over the better of both, week \
         by week, is above zero by more than two standard errors.\n\n\
         | series | expected bars | missing | Brier | base | flat | over base | over flat | gain a week | verdict |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )?;
    for (name, hazard) in hazards {
        let (seen, missing) = hazard.hazard.counts();
        let skill = &hazard.skill;
        let verdict = if skill.is_real() { "skill" } else { "no skill" };
        writeln!(
            out,
            "| {name} | {seen} | {:.3} % | {:.6} | {:.6} | {:.6} | {:+.2} % | {:+.2} % | {:+.1e} ± {:.1e} | {verdict} |",
            100.0 * missing as f64 / seen.max(1) as f64,
            skill.brier,
            skill.base,
            skill.flat,
            100.0 * skill.over_base(),
            100.0 * skill.over_flat(),
            skill.gain.0,
            skill.gain.1
        )?;
    }
    Ok(())
}
