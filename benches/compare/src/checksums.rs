//! The part of the report on checksums: what they take, from runs that differ in nothing else.

use std::fmt::Write as _;

use crate::contender::Result;
use crate::figures::Workload;
use crate::measure::{median, quantile, seconds};
use crate::report::number;
use crate::targets::short;

/// Writes the table, if checksums were timed.
pub(crate) fn write(workloads: &[Workload], text: &mut String) -> Result<()> {
    writeln!(text, "## With and without checksums\n")?;
    writeln!(
        text,
        "The same file in the same mapping, every page touched before, one run after the other in each round: with nothing known of the \
         file, so that every checksum is computed, and with what was found right remembered. Nothing else differs; what \
         they take is the median of what each round took more with them. (The lines `-first` \
         of the other tables have page faults and opening in them as well.) Arrow-rs leaves out Parquet's page checksums by default; \
         Arrow IPC and pco have none.\n"
    )?;
    let found: Vec<&Workload> =
        workloads.iter().filter(|workload| workload.name.starts_with("checksum")).collect();
    if found.is_empty() {
        writeln!(text, "Not measured yet.\n")?;
        return Ok(());
    }
    writeln!(
        text,
        "| read | of | tier | with | without | checksums take | quartiles | of the time with | GB/s of the file checked |\n|-|-|-|-:|-:|-:|-:|-:|-:|"
    )?;
    for workload in found {
        for tier in ["hot", "dense", "cold"] {
            let of = |what: &str| {
                let name = format!("tapestore {tier}, checksums {what}");
                workload.times.iter().find(|times| times.name == name)
            };
            let (Some(with), Some(without)) = (of("computed"), of("remembered")) else { continue };
            let rounds = with.beyond(without);
            let (low, taken, high) = (quantile(&rounds, 0.25), median(&rounds), quantile(&rounds, 0.75));
            // Where the quartiles lie on both sides of nothing, the checksums are lost in what else varies.
            let told_apart = low > 0.0;
            let all = workload.name == "checksum";
            let bytes =
                workload.file_bytes.iter().find(|(name, _)| name == tier).map(|(_, bytes)| *bytes as f64);
            let speed = bytes.filter(|_| all && told_apart).map(|bytes| bytes / taken / 1e9);
            let cells = if told_apart {
                [
                    seconds(taken),
                    format!("{} – {}", seconds(low), seconds(high)),
                    format!("{:.1} %", taken / with.median() * 100.0),
                ]
            } else {
                ["not told apart".to_owned(), format!("up to {}", seconds(high.max(0.0))), "–".to_owned()]
            };
            writeln!(
                text,
                "| {} | {} | {tier} | {} | {} | {} | {} |",
                if all { "all columns" } else { "close" },
                short(&workload.table),
                seconds(with.median()),
                seconds(without.median()),
                cells.join(" | "),
                number(speed, 1)
            )?;
        }
    }
    writeln!(text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;
    use serde_json::json;

    #[test]
    fn checksums_that_are_lost_in_what_else_varies_have_no_speed() {
        let times = |seconds: &[f64]| json!({ "cpu": seconds, "wall": seconds });
        let value = json!({ "times": [{ "workload": "checksum", "table": "T.X", "rows": 1, "bytes": 48,
            "file_bytes": { "hot": 4e6 as u64, "dense": 1e6 as u64 }, "contenders": {
            "tapestore hot, checksums computed": times(&[0.010, 0.030, 0.020]),
            "tapestore hot, checksums remembered": times(&[0.008, 0.028, 0.018]),
            "tapestore dense, checksums computed": times(&[0.010, 0.030, 0.020]),
            "tapestore dense, checksums remembered": times(&[0.011, 0.029, 0.021]),
        }}]});
        let mut text = String::new();
        write(&Figures(&value).workloads(), &mut text).unwrap();
        assert!(
            text.contains(
                "| all columns | T | hot | 20.00 ms | 18.00 ms | 2.00 ms | 2.00 ms – 2.00 ms | 10.0 % | 2.0 |"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "| all columns | T | dense | 20.00 ms | 21.00 ms | not told apart | up to 0 ns | – | – |"
            ),
            "{text}"
        );
    }
}
