//! `RESULTS.md` and the plots, from the figures.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::contender::Result;
use crate::figures::{Figures, Sizes, Times, Workload};
use crate::measure::seconds;
use crate::plot::{Bar, bars};
use crate::targets::{is_parquet, short};
use crate::{aims, checksums, summary};

pub(crate) const TIERS: [&str; 3] = ["tapestore hot", "tapestore dense", "tapestore cold"];

/// What a workload is, in words.
const MEANING: [(&str, &str); 20] = [
    (
        "encode",
        "From columns in memory, in the form that the format's library takes, to the bytes of a file in memory, one thread.",
    ),
    (
        "write",
        "From columns in memory to files that are on the device. Tapestore commits every 250,000 rows durably through its log, seals and compacts: each row is written twice or three times. The peers write one file and sync it.",
    ),
    (
        "scan-first",
        "Open, then decode all columns, piece by piece; the page cache is warm. Tapestore maps the file and checks every checksum; arrow-rs leaves Parquet's page checksums out by default, Arrow IPC and pco have none.",
    ),
    (
        "scan",
        "The same with everything open: Tapestore remembers which checksums were right. (The difference to the table before is opening, page faults and checksums: `checksum` below has those apart.) Pieces are let go where the format decodes them: nothing is converted or copied for a peer. Text is read out of Parquet as a dictionary and the places in it, out of Arrow IPC as it stands in the file; Tapestore hands out the text of every row. `memory: read` sums the raw columns.",
    ),
    (
        "rows-first",
        "All rows, as nanoseconds, doubles and the text of each row, into buffers of the caller that are used again, by a reader that was opened just before, outside of the time: Tapestore computes every checksum, and pages are mapped anew.",
    ),
    (
        "rows",
        "The same with a reader that is used again: Tapestore remembers which checksums were right. `memory: copy` copies the raw columns.",
    ),
    (
        "close-first",
        "Only the column `close`, piece by piece, by a reader that was opened just before, outside of the time, as in `rows-first`.",
    ),
    (
        "close",
        "The same with a reader that is used again. Only the column `close`, piece by piece. Tapestore hot shows the file's own bytes without a copy.",
    ),
    (
        "day-first",
        "One day of rows into buffers that are used again, by a reader that was opened just before, outside of the time: nothing is decoded, checked or parsed yet but what opening did.",
    ),
    (
        "day",
        "One day of rows into buffers that are used again; 64 days with rows all over the file in turn, everything open, each read once before. Tapestore keeps decoded blocks of small reads by default, so days that come again are found in its cache; the line `decoded blocks not kept` has that cache off. Parquet reads the pages that its index of times names, with the index parsed before.",
    ),
    (
        "day-cold",
        "As before, but with the file closed and its pages dropped from the page cache (`posix_fadvise`) before each: opening is part of it. The device is virtual; its own cache is beyond reach.",
    ),
    ("gaps-first", "As `gaps`, by a reader that was opened just before, outside of the time."),
    (
        "gaps",
        "Number of missing bars from the first to the last, by a reader that is used again. Tapestore answers from its index, the peers decode the times and walk over them.",
    ),
    ("year-first", "As `year`, by a reader that was opened just before, outside of the time."),
    (
        "year",
        "Least, greatest and sum of `volume` over 365 days, by a reader that is used again. The peers decode the column within the range.",
    ),
    ("open", "Opening, up to where columns can be read: Parquet with its page index."),
    (
        "batch",
        "All rows of 180 files (for Tapestore, 180 series of one store), with as many threads as the machine has cores, everything open; the results are kept until the end. The thirty instruments are ten windows of thirty days of each of BTCUSD, LTCUSD and EOSUSD, moved to the same month; the timeframes are made of their minutes. `memory: copy` copies the raw columns to fresh memory, on one core.",
    ),
    ("batch-week", "The same for one week of the thirty days."),
    (
        "checksum",
        "All columns, decoded piece by piece by the format alone, out of one mapping whose pages were all touched before: once with nothing known of the file, so that every checksum is computed, and once with what was found right remembered; both in each round.",
    ),
    ("checksum-close", "The same of the column `close`; of the hot tier it is shown where it lies."),
];

pub(crate) fn write(results: &Value, out: &Path, figures_directory: &Path) -> Result<()> {
    let figures = Figures(results);
    let (sizes, workloads) = (figures.sizes(), figures.workloads());
    let mut text = String::new();
    writeln!(text, "<!-- Generated by benches/compare; do not edit. -->\n")?;
    writeln!(text, "# Tapestore beside Parquet, Arrow IPC and pco\n")?;
    // A run of the same that was built for the machine's own instructions, if there is one.
    let native = std::fs::read_to_string(figures_directory.join("results-native.json")).ok();
    let native: Option<Value> = native.map(|text| serde_json::from_str(&text)).transpose()?;
    let built_here = native.as_ref().map(|native| Figures(native).workloads()).unwrap_or_default();
    summary::write(&figures, &built_here, &mut text)?;
    head(results, &mut text)?;
    files_read(results, &mut text)?;
    aims::write(&figures, &mut text)?;
    size_tables(&sizes, &mut text)?;
    let plots = out.join("plots");
    std::fs::create_dir_all(&plots)?;
    plot_sizes(&sizes, &plots)?;
    settings(&sizes, &workloads, &mut text)?;
    matrix(&workloads, &mut text)?;
    plot_times(&workloads, &plots)?;
    checksums::write(&workloads, &mut text)?;
    if let Some(native) = &native {
        built_for_this_machine(&workloads, native, &built_here, &mut text)?;
    }
    crate::peers::append(figures_directory, &mut text, &plots)?;
    crate::answers::append(figures_directory, &mut text)?;
    details(&workloads, &mut text)?;
    std::fs::write(out.join("RESULTS.md"), text)?;
    Ok(())
}

fn head(results: &Value, text: &mut String) -> Result<()> {
    let machine = &results["machine"];
    let of = |key: &str| machine[key].as_str().unwrap_or("unknown").to_owned();
    let versions: Vec<String> = machine["versions"]
        .as_object()
        .map(|map| {
            map.iter().map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?"))).collect()
        })
        .unwrap_or_default();
    writeln!(text, "## Where the figures are from\n")?;
    writeln!(
        text,
        "Generated by `benches/compare`; do not edit. The figures behind it: [compare/results.json](compare/results.json)."
    )?;
    writeln!(text)?;
    for note in results["notes"].as_array().map_or(&[][..], Vec::as_slice) {
        writeln!(text, "**Note.** {}\n", note.as_str().unwrap_or_default())?;
    }
    writeln!(
        text,
        "```console\n$ cd benches/compare && cargo run --release\n$ cargo run --release -- bars.csv.gz trades.csv months.zip\n```\n"
    )?;
    writeln!(
        text,
        "The second line measures files of your own and writes the same report of them where it is run."
    )?;
    writeln!(text)?;
    writeln!(text, "| | |\n|-|-|")?;
    writeln!(text, "| date | {} |", of("date"))?;
    writeln!(
        text,
        "| machine | {}, {} cores, {}; {} |",
        of("cpu"),
        machine["cores"],
        of("memory"),
        of("features")
    )?;
    writeln!(text, "| system | {}, {} |", of("kernel"), of("rustc"))?;
    let built_for = machine["built_for"].as_str().unwrap_or(crate::machine::BASELINE);
    writeln!(
        text,
        "| built for | {built_for}: so are arrow-rs and pco; Tapestore chooses between loops for AVX2 and AVX-512 when it runs, zstd \
         between some of its own |"
    )?;
    writeln!(text, "| versions | {} |", versions.join(", "))?;
    writeln!(
        text,
        "| Tapestore at | {} for what was measured last; each table says at which commit it was |",
        of("commit")
    )?;
    writeln!(text)?;
    writeln!(
        text,
        "What else ran on the machine, a note above says where it is known. Times are processor \
         time (of all threads, the kernel's work for them included), which other programs move least, but for `write` and `day-cold`, where waiting for the \
         device is part of the work and the clock counts. Repeats are interleaved (every contender once, then every \
         contender again); the median, the least and the quartiles are given. Read ratios within one table, not figures \
         across tables or runs: what neighbours do to caches and memory bandwidth stays in. Real files, `shared/data`; \
         before anything was timed, every reader's values were compared with what was written, bit for bit. A dash: not \
         measured, or not possible."
    )?;
    writeln!(
        text,
        "\nFiles of `i64` and `i32` hold no prices: whoever is not told their scales, which an application has to keep itself (here \
         in the file's metadata, which no other reader knows), reads whole numbers out of them, and out of `i32` no times either. \
         Tapestore, Parquet with doubles (`f64`, ALP), Arrow IPC and pco give back doubles by themselves."
    )?;
    writeln!(text)?;
    Ok(())
}

/// What files by their paths were taken for.
fn files_read(results: &Value, text: &mut String) -> Result<()> {
    let Some(files) = results["read"].as_array().filter(|files| !files.is_empty()) else { return Ok(()) };
    writeln!(text, "## Files by their paths\n")?;
    writeln!(text, "| file | rows | series | columns | what is to be told |\n|-|-:|-:|-|-|")?;
    for file in files {
        let name = file["file"].as_str().unwrap_or_default();
        let words = |key: &str, between: &str| {
            let list = file[key].as_array().map_or(&[][..], Vec::as_slice);
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(between).replace('|', "\\|")
        };
        match file["failed"].as_str() {
            Some(why) => {
                writeln!(text, "| {name} | – | – | – | **not measured**: {} |", why.replace('|', "\\|"))?;
            }
            None => writeln!(
                text,
                "| {name} | {} | {} | {} | {} |",
                file["rows"],
                file["series"],
                words("columns", ", "),
                words("notes", "; ")
            )?,
        }
    }
    writeln!(text)?;
    Ok(())
}

/// Every setting with its size and speeds, one table for each file that is timed.
fn settings(sizes: &[Sizes], workloads: &[Workload], text: &mut String) -> Result<()> {
    const SHOWN: [&str; 5] = ["scan", "rows", "close", "day", "encode"];
    writeln!(text, "## Size and speed of every setting\n")?;
    writeln!(
        text,
        "Medians of an open reader. Of the settings of level 19, whose files take minutes to write, the one that is smallest is read, \
         and on small files others.\n"
    )?;
    for file in sizes {
        let of = |name: &str| workloads.iter().find(|found| found.name == name && found.table == file.file);
        let shown: Vec<&str> = SHOWN.into_iter().filter(|name| of(name).is_some()).collect();
        if shown.is_empty() {
            continue;
        }
        writeln!(text, "### Settings on {}\n", short(&file.file))?;
        writeln!(text, "| | bytes/row | {} |\n|-|-:|{}", shown.join(" | "), "-:|".repeat(shown.len()))?;
        let mut names: Vec<&str> = file.names();
        names.sort_by_key(|name| (!name.starts_with("tapestore"), !is_parquet(name), file.bytes(name)));
        for name in names {
            let cell = |workload: &&str| {
                of(workload).and_then(|found| found.median(name)).map_or("–".to_owned(), seconds)
            };
            let cells: Vec<String> = shown.iter().map(cell).collect();
            writeln!(text, "| {name} | {} | {} |", number(file.per_row(name), 2), cells.join(" | "))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// The same from a run that was built for the machine's own instructions.
fn built_for_this_machine(
    workloads: &[Workload],
    native: &Value,
    others: &[Workload],
    text: &mut String,
) -> Result<()> {
    writeln!(text, "## Built for this machine\n")?;
    writeln!(
        text,
        "arrow-rs, zstd and pco with every instruction that the machine has (`RUSTFLAGS=-Ctarget-cpu=native`, {}), beside the build for \
         any machine of its kind above. The fastest setting of Parquet in each.\n",
        native["machine"]["built_for"].as_str().unwrap_or("?")
    )?;
    writeln!(
        text,
        "| read | of | Parquet | Parquet, native | dense | dense, native | times as fast | times as fast, native |\n|-|-|-:|-:|-:|-:|-:|-:|"
    )?;
    for other in others {
        let same = |found: &&Workload| found.name == other.name && found.table == other.table;
        let Some(here) = workloads.iter().find(same) else { continue };
        let of =
            |workload: &Workload| Some((workload.fastest(is_parquet)?.median(), workload.median(TIERS[1])?));
        let (Some((peer, own)), Some((native_peer, native_own))) = (of(here), of(other)) else { continue };
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | {:.2} | {:.2} |",
            other.name,
            short(&other.table),
            seconds(peer),
            seconds(native_peer),
            seconds(own),
            seconds(native_own),
            peer / own,
            native_peer / native_own
        )?;
    }
    writeln!(text)?;
    Ok(())
}

pub(crate) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
}

fn size_tables(sizes: &[Sizes], text: &mut String) -> Result<()> {
    writeln!(text, "## Sizes")?;
    writeln!(text)?;
    writeln!(
        text,
        "Bytes per row of the whole file. Tapestore's are those of a segment, with checksums, zone maps, gap index and \
         the version, source and flags of every row. *Smallest Parquet* is the smallest of {} settings; *by column* is \
         what remains if the best setting is chosen for each column apart, without any structure around it. `i64 DELTA` \
         scales doubles to integers where that is exact; other columns stay doubles. `i32` keeps the narrowest integers: 32 \
         bits where all of a column fit, times as multiples of the largest unit that divides them; doubles that are not exact \
         as integers are kept by ALP (`i32 DELTA`), plain or by BYTE_STREAM_SPLIT. Parquet's files have the statistics and the \
         page index that arrow-rs writes, for Tapestore has its zone maps and gap index too, but no Arrow schema beside \
         Parquet's own. Pages are as arrow-rs writes them by default, at most \
         20,000 rows and 1 MiB, unless said otherwise; those of 1 MiB have no bound of rows: smallest, and slowest to find a day in. Level 19 of zstd is written once for its size, read back and compared, and only the smallest of each file is timed: encoding takes \
         minutes. pco has no structure, checksum or \
         index, and does not keep text. Parquet keeps times in milliseconds or larger units, which is smaller. Many \
         instruments are one Parquet file with a column of symbols, one Tapestore segment with a part for each.",
        crate::parquet::Parquet::all().len()
    )?;
    writeln!(text)?;
    let taken = |whose: &str, pass: fn(&str) -> bool| {
        let all: std::collections::BTreeSet<String> =
            sizes.iter().flat_map(|file| file.taken(pass)).collect();
        format!("{whose} {}", all.into_iter().collect::<Vec<_>>().join(" and "))
    };
    writeln!(
        text,
        "Taken: {}; {}; {}.\n",
        taken("Tapestore's", |name| name.starts_with("tapestore")),
        taken("Parquet's", is_parquet),
        taken("the others'", |name| !name.starts_with("tapestore") && !is_parquet(name))
    )?;
    writeln!(text, "![bytes per row](plots/sizes.svg)")?;
    writeln!(text)?;
    let kinds = [
        ("klines", "Bars"),
        ("month", "One month, as in the data's own list"),
        ("ticks", "Trades and quotes"),
        ("books", "Updates of books, a row for every level"),
        (
            "daily",
            "Daily prices, and single files of months (`daily/BTCUSD`), hours (`daily/EURUSD`) and days (`daily/GOOG`)",
        ),
    ];
    for (kind, title) in kinds {
        writeln!(text, "### {title}\n")?;
        writeln!(
            text,
            "| file | rows | raw | hot | dense | cold | smallest Parquet | its setting | by column | Parquet snappy | IPC zstd | pco | dense / smallest Parquet | cold / smallest Parquet | cold / pco |"
        )?;
        writeln!(text, "|-|-:|-:|-:|-:|-:|-:|-|-:|-:|-:|-:|-:|-:|-:|")?;
        for file in sizes.iter().filter(|sizes| sizes.kind == kind) {
            let per_row = |contender: &str| number(file.per_row(contender), 2);
            let smallest = file.smallest_parquet();
            let rows = file.rows as f64;
            let pco = file
                .bytes("tapestore cold")
                .zip(file.bytes("pco per column"))
                .map(|(a, b)| a as f64 / b as f64);
            writeln!(
                text,
                "| {} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                file.file,
                file.rows,
                file.raw_bytes as f64 / rows,
                per_row(TIERS[0]),
                per_row(TIERS[1]),
                per_row(TIERS[2]),
                number(smallest.map(|found| found.1 as f64 / rows), 2),
                smallest.map_or("", |found| found.0.trim_start_matches("parquet ")),
                number(file.mixed_parquet().map(|bytes| bytes as f64 / rows), 2),
                per_row("parquet f64 snappy"),
                per_row("arrow ipc zstd"),
                per_row("pco per column"),
                number(file.ratio(TIERS[1]), 3),
                number(file.ratio(TIERS[2]), 3),
                number(pco, 3),
            )?;
        }
        writeln!(text)?;
    }
    by_setting(sizes, text)?;
    by_column(sizes, text)
}

/// Every setting of Parquet on every file.
fn by_setting(sizes: &[Sizes], text: &mut String) -> Result<()> {
    writeln!(text, "### Every setting of Parquet\n")?;
    writeln!(
        text,
        "Bytes per row. Where a column had no exact scale and stayed `f64` under DELTA, it is named.\n"
    )?;
    let settings: Vec<String> =
        crate::parquet::Parquet::all().iter().map(crate::contender::Contender::name).collect();
    let titles: Vec<&str> = settings.iter().map(|name| name.trim_start_matches("parquet ")).collect();
    writeln!(text, "| file | {} | not scaled |", titles.join(" | "))?;
    writeln!(text, "|-|{}-|", "-:|".repeat(settings.len()))?;
    for file in sizes {
        let cells: Vec<String> = settings.iter().map(|name| number(file.per_row(name), 2)).collect();
        writeln!(text, "| {} | {} | {} |", file.file, cells.join(" | "), file.note("parquet i64 DELTA"))?;
    }
    writeln!(text)?;
    Ok(())
}

fn by_column(sizes: &[Sizes], text: &mut String) -> Result<()> {
    writeln!(text, "### By column\n")?;
    writeln!(text, "Bytes per row and column; what is left of the whole is structure.\n")?;
    writeln!(text, "<details><summary>{} files</summary>\n", sizes.len())?;
    for file in sizes {
        let columns = file.columns();
        writeln!(text, "| {} | {} | whole |", file.file, columns.join(" | "))?;
        writeln!(text, "|-|{}-:|", "-:|".repeat(columns.len()))?;
        let smallest = file.smallest_parquet().map_or("", |found| found.0);
        for name in [TIERS[0], TIERS[1], TIERS[2], smallest, "pco per column"] {
            let Some(whole) = file.per_row(name) else { continue };
            let cells: Vec<String> = columns
                .iter()
                .map(|column| {
                    number(file.column(name, column).map(|bytes| bytes as f64 / file.rows as f64), 2)
                })
                .collect();
            writeln!(text, "| {name} | {} | {whole:.2} |", cells.join(" | "))?;
        }
        writeln!(text)?;
    }
    writeln!(text, "</details>\n")?;
    Ok(())
}

/// One table of medians for each file, workloads beside one another.
fn matrix(workloads: &[Workload], text: &mut String) -> Result<()> {
    writeln!(text, "## Times\n")?;
    let workloads: Vec<&Workload> =
        workloads.iter().filter(|workload| !workload.name.starts_with("checksum")).collect();
    let mut tables: Vec<&str> = Vec::new();
    for workload in &workloads {
        if !tables.contains(&workload.table.as_str()) {
            tables.push(&workload.table);
        }
    }
    for table in tables {
        let columns: Vec<&Workload> =
            workloads.iter().copied().filter(|workload| workload.table == table).collect();
        let mut names: Vec<&str> = Vec::new();
        for workload in &columns {
            for times in &workload.times {
                if !names.contains(&times.name.as_str()) {
                    names.push(&times.name);
                }
            }
        }
        names.sort_by_key(|name| (!name.starts_with("tapestore"), name.starts_with("memory")));
        writeln!(text, "### {table}\n")?;
        let taken: std::collections::BTreeSet<&str> =
            columns.iter().map(|workload| workload.taken.as_str()).collect();
        let taken: Vec<&str> = taken.into_iter().collect();
        writeln!(
            text,
            "Median, and in brackets how many times as long as Tapestore dense takes. Taken {}.\n",
            taken.join("; ")
        )?;
        let titles: Vec<&str> = columns.iter().map(|workload| workload.name.as_str()).collect();
        writeln!(text, "| | {} |\n|-|{}", titles.join(" | "), "-:|".repeat(columns.len()))?;
        for name in names {
            let cell = |workload: &&Workload| {
                let (Some(time), Some(own)) = (workload.median(name), workload.median("tapestore dense"))
                else {
                    return "–".to_owned();
                };
                format!("{} ({})", seconds(time), ratio(time / own))
            };
            let cells: Vec<String> = columns.iter().map(cell).collect();
            writeln!(text, "| {name} | {} |", cells.join(" | "))?;
        }
        writeln!(text)?;
    }
    for (name, _) in PLOTTED {
        for workload in workloads.iter().filter(|workload| workload.name == name) {
            let plot = plot_name(workload);
            writeln!(text, "![{} on {}](plots/{plot})\n", workload.name, short(&workload.table))?;
        }
    }
    Ok(())
}

fn ratio(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}×"),
        v if v >= 10.0 => format!("{v:.1}×"),
        v => format!("{v:.2}×"),
    }
}

fn details(workloads: &[Workload], text: &mut String) -> Result<()> {
    writeln!(text, "## The workloads, with spread\n")?;
    writeln!(
        text,
        "*Shown*: numbers are handed out where they lie in the file, and nobody reads them; that has no speed.\n"
    )?;
    for (name, meaning) in &MEANING {
        let found: Vec<&Workload> = workloads.iter().filter(|workload| workload.name == *name).collect();
        if found.is_empty() {
            continue;
        }
        writeln!(text, "### {name}\n\n{meaning}\n")?;
        for workload in found {
            let (dense, hot) = (workload.median("tapestore dense"), workload.median("tapestore hot"));
            let rows = if workload.rows > 0 { format!(", {} rows", workload.rows) } else { String::new() };
            writeln!(
                text,
                "| {}{rows} | median | least | quartiles | rounds | GB/s of raw columns | × dense | × hot |",
                short(&workload.table)
            )?;
            writeln!(text, "|-|-:|-:|-:|-:|-:|-:|-:|")?;
            for times in &workload.times {
                let median = times.median();
                let speed = (workload.bytes > 0 && *name != "gaps" && *name != "open" && *name != "year")
                    .then(|| workload.bytes as f64 / median / 1e9);
                writeln!(
                    text,
                    "| {} | {} | {} | {} – {} | {} | {} | {} | {} |",
                    times.name,
                    seconds(median),
                    seconds(times.at(0.0)),
                    seconds(times.at(0.25)),
                    seconds(times.at(0.75)),
                    times.rounds(),
                    if shown(name, &times.name) { "shown".to_owned() } else { number(speed, 2) },
                    dense.map_or("–".to_owned(), |own| ratio(median / own)),
                    hot.map_or("–".to_owned(), |own| ratio(median / own)),
                )?;
            }
            writeln!(text)?;
        }
    }
    Ok(())
}

/// Whether a contender only shows where the numbers are: nothing is decoded, copied or checked.
fn shown(workload: &str, contender: &str) -> bool {
    match contender {
        "tapestore hot" => workload == "close",
        "arrow ipc" => ["scan-first", "scan", "close-first", "close"].contains(&workload),
        _ => false,
    }
}

fn plot_sizes(sizes: &[Sizes], plots: &Path) -> Result<()> {
    let mut all = Vec::new();
    for file in sizes.iter().filter(|sizes| sizes.kind != "daily" && sizes.rows > 50_000) {
        let mut add = |name: &str, label: &str, own: bool| {
            if let Some(value) = file.per_row(name) {
                all.push(Bar {
                    label: format!("{}: {label}", short(&file.file)),
                    value,
                    text: format!("{value:.2}"),
                    own,
                });
            }
        };
        add("tapestore cold", "cold", true);
        add("tapestore dense", "dense", true);
        add("pco per column", "pco", false);
        if let Some((name, _)) = file.smallest_parquet() {
            let name = name.to_owned();
            add(&name, name.trim_start_matches("parquet "), false);
        }
    }
    let svg = bars(
        "Bytes per row",
        "the smallest Parquet of any setting, pco by column, and Tapestore",
        false,
        &all,
    );
    Ok(std::fs::write(plots.join("sizes.svg"), svg)?)
}

/// The workloads that are drawn, for every table, and what their plots are called.
const PLOTTED: [(&str, &str); 5] = [
    ("scan", "Scan of all columns"),
    ("rows", "Scan into the caller's buffers"),
    ("close-first", "Scan of the closes, first touch"),
    ("close", "Scan of the closes"),
    ("day", "One day out of all"),
];

fn plot_name(workload: &Workload) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    let table: String = short(&workload.table).chars().map(plain).collect();
    format!("{}-{table}.svg", workload.name)
}

/// Speeds of what reads all rows of a column, times of what reads a day.
fn plot_times(workloads: &[Workload], plots: &Path) -> Result<()> {
    for (name, title) in PLOTTED {
        for workload in workloads.iter().filter(|workload| workload.name == name) {
            let by_time = workload.bytes == 0;
            let bar = |times: &Times| {
                let seconds_each = times.median();
                let speed = workload.bytes as f64 / seconds_each / 1e9;
                let (value, text) = if by_time {
                    (seconds_each, seconds(seconds_each))
                } else {
                    let read = !shown(name, &times.name);
                    (speed, if read { format!("{speed:.2} GB/s") } else { "shown, not read".to_owned() })
                };
                Bar { label: times.name.clone(), value, text, own: times.name.starts_with("tapestore") }
            };
            let mut all: Vec<Bar> = workload.times.iter().map(bar).collect();
            all.sort_by(|a, b| b.value.total_cmp(&a.value));
            let note = if by_time {
                all.reverse();
                "time, logarithmic; shorter is better"
            } else {
                "GB/s of raw columns, logarithmic; longer is better"
            };
            let title = format!("{title}: {}", short(&workload.table));
            std::fs::write(plots.join(plot_name(workload)), bars(&title, note, true, &all))?;
        }
    }
    Ok(())
}
