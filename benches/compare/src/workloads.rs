//! The workloads: what is timed, on one table and on thirty instruments of six timeframes.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value, json};
use tapestore::{SeriesKey, Store, Values, View};
use tapestore_format::segment::Scratch;
use tapestore_format::time::Timeframe;

use crate::contender::{ALWAYS, Contender, Reader, Result, Summary};
use crate::ipc::Ipc;
use crate::machine;
use crate::measure::{Runner, rounds, rounds_within};
use crate::parquet::{Codec, Form, Parquet};
use crate::pcodec::Pco;
use crate::table::{DAY_NS, Group, Kind, MINUTE_NS, Table};
use crate::tape::{self, Sealed, TIERS, Tape};

/// Larger tables are not written at level 19 to be timed; their sizes are taken.
const ZSTD_19_ROWS: usize = 1 << 17;

/// The contenders of the timed workloads: all tiers, and of the peers every way to decode.
fn contenders(rows: usize, numbers: bool, only: &str) -> Vec<Box<dyn Contender>> {
    let mut out: Vec<Box<dyn Contender>> = Vec::new();
    out.extend(TIERS.map(|tier| Box::new(Tape::of(tier)) as Box<dyn Contender>));
    let timed = |parquet: &Parquet| match parquet.codec {
        // Writing it takes minutes, reading as long as level 3.
        Codec::Zstd(19) => parquet.form == Form::Plain && rows <= ZSTD_19_ROWS,
        _ => true,
    };
    out.extend(
        Parquet::all().into_iter().filter(timed).map(|parquet| Box::new(parquet) as Box<dyn Contender>),
    );
    out.extend(Ipc::ALL.map(|ipc| Box::new(ipc) as Box<dyn Contender>));
    if numbers {
        out.push(Box::new(Pco));
    }
    out.retain(|contender| contender.name().contains(only));
    out
}

/// A contender with its files on disk and a reader that has read everything once.
struct Ready {
    name: String,
    directory: PathBuf,
    contender: Box<dyn Contender>,
    reader: RefCell<Box<dyn Reader>>,
}

/// Results of one workload.
fn result(workload: &str, table: &str, rows: u64, bytes: u64, times: Map<String, Value>) -> Value {
    json!({ "workload": workload, "table": table, "rows": rows, "bytes": bytes, "contenders": Value::Object(times) })
}

fn runners<'a>(
    ready: &'a [Ready],
    make: impl Fn(&'a Ready) -> Box<dyn FnMut() -> Result<()> + 'a>,
) -> Vec<Runner<'a>> {
    ready.iter().map(|ready| Runner::new(ready.name.clone(), make(ready))).collect()
}

/// One way to ask the readers that are open.
fn open_runners<'a>(ready: &'a [Ready], run: &'a dyn Fn(&mut dyn Reader) -> Result<()>) -> Vec<Runner<'a>> {
    runners(ready, |r| Box::new(move || run(&mut **r.reader.borrow_mut())))
}

/// The same with readers that are opened before each run, which is not timed: what is checked once is checked in it.
fn fresh_runners<'a>(ready: &'a [Ready], run: &'a dyn Fn(&mut dyn Reader) -> Result<()>) -> Vec<Runner<'a>> {
    let runner = |r: &'a Ready| {
        let reader: Rc<RefCell<Box<dyn Reader>>> = Rc::new(RefCell::new(Box::new(Closed)));
        let opened = Rc::clone(&reader);
        Runner::new(r.name.clone(), move || run(&mut **reader.borrow_mut())).before(move || {
            *opened.borrow_mut() = r.contender.open(&r.directory)?;
            Ok(())
        })
    };
    ready.iter().map(runner).collect()
}

/// What a contender may take of writing: enough for five rounds of the largest file.
const WRITE_SECONDS: f64 = 40.0;

/// And of encoding, in memory.
const ENCODE_SECONDS: f64 = 15.0;

/// What trades and quotes are asked: the others are questions about bars.
const OF_TICKS: [&str; 7] = ["encode", "write", "scan-first", "scan", "rows-first", "rows", "checksum"];

/// All workloads on one table; each is put away when it is done. The setting of Parquet that is smallest is read, too, though it
/// takes long to write.
pub(crate) fn time_table(
    group: &Group,
    count: u32,
    selected: &str,
    only: &str,
    smallest: &str,
    put: &mut dyn FnMut(Value) -> Result<()>,
) -> Result<()> {
    let table = &group.tables[0];
    let root = tempfile::tempdir()?;
    let bytes = table.raw_bytes();
    let done =
        |workload: &str, rows: u64, bytes: u64, times| result(workload, &group.name, rows, bytes, times);
    let ticks = matches!(group.kind, Kind::Ticks | Kind::Books);
    let wanted = |workload: &str| {
        (selected.is_empty() || selected.split(',').any(|name| name == workload))
            && (!ticks || OF_TICKS.contains(&workload))
    };
    let rows = table.len() as u64;

    if wanted("encode") {
        eprintln!("  encode");
        let all = contenders(table.len(), table.is_numbers(), only);
        let encode = all.iter().map(|c| {
            let mut encoder = c.encoder(group)?;
            Ok(Runner::new(c.name(), move || {
                black_box(encoder()?);
                Ok(())
            }))
        });
        let encode = encode.collect::<Result<_>>()?;
        put(done("encode", rows, bytes, rounds_within(count.min(5), ENCODE_SECONDS, encode)?))?;
    }
    if wanted("write") {
        eprintln!("  write");
        let all = contenders(table.len(), table.is_numbers(), only);
        let place = root.path().join("write");
        let place = &place;
        let write = all.iter().map(|c| {
            Runner::new(c.name(), move || c.write(table, place)).before(move || {
                let _ = std::fs::remove_dir_all(place);
                Ok(std::fs::create_dir(place)?)
            })
        });
        // The store makes its own directory.
        put(done("write", rows, bytes, rounds_within(count.min(5), WRITE_SECONDS, write.collect())?))?;
    }

    let ready = prepare(group, root.path(), only, smallest)?;
    let columns: Vec<&str> = std::iter::once("time").chain(table.names()).collect();
    let columns = &columns;

    if wanted("scan-first") {
        eprintln!("  scan-first");
        let times = rounds(
            count,
            runners(&ready, |r| {
                Box::new(move || {
                    r.contender.open(&r.directory)?.scan(columns).map(|found| assert_eq!(found, rows))
                })
            }),
        )?;
        put(done("scan-first", rows, bytes, times))?;
    }
    if wanted("scan") {
        eprintln!("  scan");
        let words = raw_words(table);
        let mut all = runners(&ready, |r| {
            Box::new(move || r.reader.borrow_mut().scan(columns).map(|found| assert_eq!(found, rows)))
        });
        all.push(Runner::new("memory: read", || {
            black_box(machine::read_all(&words));
            Ok(())
        }));
        let times = rounds(count, all)?;
        put(done("scan", rows, bytes, times))?;
    }
    let target = RefCell::new(table.clone());
    let target = &target;
    if wanted("rows-first") {
        eprintln!("  rows-first");
        let read = |reader: &mut dyn Reader| reader.rows_into(&ALWAYS, &mut target.borrow_mut());
        put(done("rows-first", rows, bytes, rounds(count, fresh_runners(&ready, &read))?))?;
    }
    if wanted("rows") {
        eprintln!("  rows");
        let (words, copy) = (raw_words(table), RefCell::new(raw_words(table)));
        let make = move |r: &'_ Ready| -> Result<()> {
            r.reader.borrow_mut().rows_into(&ALWAYS, &mut target.borrow_mut())
        };
        let make = &make;
        let mut all = runners(&ready, |r| Box::new(move || make(r)));
        all.push(Runner::new("memory: copy", || {
            copy.borrow_mut().copy_from_slice(&words);
            black_box(&copy);
            Ok(())
        }));
        put(done("rows", rows, bytes, rounds(count, all)?))?;
    }
    if wanted("close-first") {
        eprintln!("  close-first");
        let read = |reader: &mut dyn Reader| reader.scan(&["close"]).map(|found| assert_eq!(found, rows));
        put(done("close-first", rows, rows * 8, rounds(count, fresh_runners(&ready, &read))?))?;
    }
    if wanted("close") {
        eprintln!("  close");
        let read = |reader: &mut dyn Reader| reader.scan(&["close"]).map(|found| assert_eq!(found, rows));
        let closes = table.f64("close");
        let copy = RefCell::new(closes.to_vec());
        let mut all = open_runners(&ready, &read);
        all.push(Runner::new("memory: copy", || {
            copy.borrow_mut().copy_from_slice(closes);
            black_box(&copy);
            Ok(())
        }));
        put(done("close", rows, rows * 8, rounds(count, all)?))?;
    }
    checksums(table, root.path(), count, &wanted, put, &done)?;
    days(table, &ready, count, &wanted, &mut |workload, times| put(done(workload, 0, 0, times)))?;
    index(table, &ready, count, &wanted, &mut |workload, times| put(done(workload, rows, bytes, times)))?;
    Ok(())
}

/// Makes an entry of a workload, its rows, bytes and times.
type Entry<'a> = &'a dyn Fn(&str, u64, u64, Map<String, Value>) -> Value;

/// A workload of one question, asked of files whose checksums are computed and of the same files whose checksums are
/// remembered: mapped once, every page touched, one after the other in each round.
fn checksums(
    table: &Table,
    root: &Path,
    count: u32,
    wanted: &dyn Fn(&str) -> bool,
    put: &mut dyn FnMut(Value) -> Result<()>,
    done: Entry<'_>,
) -> Result<()> {
    let place = root.join("sealed");
    std::fs::create_dir_all(&place)?;
    let rows = table.len() as u64;
    let has_close = !table.f64("close").is_empty();
    for (workload, only, bytes) in
        [("checksum", None, table.raw_bytes()), ("checksum-close", Some("close"), rows * 8)]
    {
        if !wanted(workload) || (only.is_some() && !has_close) {
            continue;
        }
        eprintln!("  {workload}");
        let files = TIERS
            .map(|tier| Ok((tape::tier_name(tier), Sealed::new(tier, table, &place)?)))
            .into_iter()
            .collect::<Result<Vec<_>>>()?;
        let scratch = RefCell::new(Scratch::default());
        let mut all = Vec::new();
        for (tier, file) in &files {
            let scratch = &scratch;
            all.push(Runner::new(format!("tapestore {tier}, checksums computed"), move || {
                let read = file.read(&file.nothing_verified(), only, &mut scratch.borrow_mut())?;
                assert_eq!(read, rows);
                Ok(())
            }));
            let verified = file.nothing_verified();
            all.push(Runner::new(format!("tapestore {tier}, checksums remembered"), move || {
                let read = file.read(&verified, only, &mut scratch.borrow_mut())?;
                assert_eq!(read, rows);
                Ok(())
            }));
        }
        let mut entry = done(workload, rows, bytes, rounds(count, all)?);
        entry["file_bytes"] = files
            .iter()
            .map(|(tier, file)| ((*tier).to_owned(), file.bytes().into()))
            .collect::<Map<_, _>>()
            .into();
        put(entry)?;
    }
    Ok(())
}

/// Puts away what a workload took.
type Done<'a> = &'a mut dyn FnMut(&str, Map<String, Value>) -> Result<()>;

/// A reader that threads share.
type Shared = Mutex<Box<dyn Reader>>;

/// One day out of all, with and without the page cache; opening.
fn days(
    table: &Table,
    ready: &[Ready],
    count: u32,
    wanted: &dyn Fn(&str) -> bool,
    done: Done<'_>,
) -> Result<()> {
    let (first, last) = (table.time[0], table.time[table.len() - 1]);
    if last - first < 3 * DAY_NS {
        return Ok(());
    }
    // Sixty-four days all over the file, in an order that does not help. Each is that of a row: some files have months
    // without any, and to read nothing is quick.
    let days: Vec<Range<i64>> = (0..64)
        .map(|number| table.time[(number * 37 % 64) * table.len() / 64])
        .map(|time| time - time.rem_euclid(DAY_NS))
        .map(|start| start..start + DAY_NS)
        .collect();
    let days = &days;
    let target = RefCell::new(table.emptied());
    let target = &target;
    if wanted("day-first") {
        eprintln!("  day-first");
        let next = Cell::new(0);
        // A day for all contenders, then another.
        let read = |reader: &mut dyn Reader| {
            next.set(next.get() + 1);
            reader.rows_into(&days[next.get() / ready.len() % days.len()], &mut target.borrow_mut())
        };
        done("day-first", rounds(count, fresh_runners(ready, &read))?)?;
    }
    if wanted("day") {
        eprintln!("  day");
        let one_day = |r: &Ready, next: &mut usize| -> Result<()> {
            *next = (*next + 1) % days.len();
            r.reader.borrow_mut().rows_into(&days[*next], &mut target.borrow_mut())
        };
        let one_day = &one_day;
        let mut runs: Vec<Runner<'_>> = Vec::new();
        for r in ready {
            // Every day once before anything is timed: first touches are measured apart.
            for day in days {
                r.reader.borrow_mut().rows_into(day, &mut target.borrow_mut())?;
            }
            let mut next = 0;
            runs.push(Runner::new(r.name.clone(), move || one_day(r, &mut next)));
        }
        if let Some(dense) = ready.iter().find(|r| r.name == "tapestore dense") {
            let uncached = Tape { tier: tapestore::Tier::Dense, cache: false };
            let mut reader = uncached.open(&dense.directory)?;
            for day in days {
                reader.rows_into(day, &mut target.borrow_mut())?;
            }
            let mut next = 0;
            runs.push(Runner::new(uncached.name(), move || {
                next = (next + 1) % days.len();
                reader.rows_into(&days[next], &mut target.borrow_mut())
            }));
        }
        done("day", rounds(count, runs)?)?;
    }
    if wanted("day-cold") {
        eprintln!("  day-cold");
        let mut runs = Vec::new();
        for r in ready {
            let mut next = 0;
            let run = move || {
                next = (next + 1) % days.len();
                r.contender.open(&r.directory)?.rows_into(&days[next], &mut target.borrow_mut())
            };
            // The reader that is open keeps pages mapped, which then cannot be dropped: it is closed meanwhile.
            runs.push(Runner::new(r.name.clone(), run).before(|| {
                *r.reader.borrow_mut() = Box::new(Closed);
                machine::forget(&r.directory)
            }));
        }
        let times = rounds(count, runs)?;
        for r in ready {
            *r.reader.borrow_mut() = r.contender.open(&r.directory)?;
        }
        done("day-cold", times)?;
    }
    if wanted("open") {
        eprintln!("  open");
        let times =
            rounds(count, runners(ready, |r| Box::new(move || r.contender.open(&r.directory).map(drop))))?;
        done("open", times)?;
    }
    Ok(())
}

/// Gaps, and aggregates over a year.
fn index(
    table: &Table,
    ready: &[Ready],
    count: u32,
    wanted: &dyn Fn(&str) -> bool,
    done: Done<'_>,
) -> Result<()> {
    if let Some(step) = table.step_ns() {
        let expected: i64 = table.time.windows(2).map(|pair| (pair[1] - pair[0]) / step - 1).sum();
        let check = |reader: &mut dyn Reader| -> Result<()> {
            let found = reader.gaps(step)?;
            if found == expected as u64 {
                Ok(())
            } else {
                Err(format!("{found} gaps, not {expected}").into())
            }
        };
        if wanted("gaps-first") {
            eprintln!("  gaps-first");
            done("gaps-first", rounds(count, fresh_runners(ready, &check))?)?;
        }
        if wanted("gaps") {
            eprintln!("  gaps");
            done("gaps", rounds(count, open_runners(ready, &check))?)?;
        }
    }
    if !wanted("year-first") && !wanted("year") || table.f64("volume").is_empty() {
        return Ok(());
    }
    let middle = table.time[table.len() / 2] + 12_345 * MINUTE_NS;
    let year = middle..middle + 365 * DAY_NS;
    let mut expected = Summary::EMPTY;
    expected.add(&table.f64("volume")[table.rows_between(&year)]);
    let agrees = |found: Summary| -> Result<()> {
        if found.agrees(&expected) { Ok(()) } else { Err(format!("{found:?}, not {expected:?}").into()) }
    };
    let answer = |reader: &mut dyn Reader| agrees(reader.summary("volume", &year)?);
    let scan = |reader: &mut dyn Reader| agrees(reader.scanned_summary("volume", &year)?);
    let dense = ready.iter().position(|r| r.name == "tapestore dense");
    let dense = dense.map_or(&[][..], |place| &ready[place..=place]);
    if wanted("year-first") {
        eprintln!("  year-first");
        let mut all = fresh_runners(ready, &answer);
        all.extend(fresh_runners(dense, &scan).into_iter().map(by_a_scan));
        done("year-first", rounds(count, all)?)?;
    }
    if wanted("year") {
        eprintln!("  year");
        let mut all = open_runners(ready, &answer);
        all.extend(open_runners(dense, &scan).into_iter().map(by_a_scan));
        done("year", rounds(count, all)?)?;
    }
    Ok(())
}

fn by_a_scan(runner: Runner<'_>) -> Runner<'_> {
    Runner { name: format!("{}, by a scan", runner.name), ..runner }
}

/// Writes all files, opens them, and compares every value with what was written.
fn prepare(group: &Group, root: &Path, only: &str, smallest: &str) -> Result<Vec<Ready>> {
    let table = &group.tables[0];
    let mut out = Vec::new();
    let mut found = table.emptied();
    let mut all = contenders(table.len(), table.is_numbers(), only);
    let is_smallest = |parquet: &Parquet| parquet.name() == smallest && parquet.name().contains(only);
    if all.iter().all(|contender| contender.name() != smallest) {
        let smallest = Parquet::all().into_iter().filter(is_smallest);
        all.extend(smallest.map(|parquet| Box::new(parquet) as Box<dyn Contender>));
    }
    for (number, contender) in all.into_iter().enumerate() {
        let directory = root.join(format!("table-{number}"));
        std::fs::create_dir(&directory)?;
        contender.write(table, &directory)?;
        let mut reader = contender.open(&directory)?;
        reader.rows_into(&ALWAYS, &mut found)?;
        if !found.same(table) {
            return Err(format!("{} gives back other values", contender.name()).into());
        }
        out.push(Ready { name: contender.name(), directory, contender, reader: RefCell::new(reader) });
    }
    Ok(out)
}

/// The table's bytes in one piece.
fn raw_words(table: &Table) -> Vec<u64> {
    let mut out: Vec<u64> = table.time.iter().map(|time| *time as u64).collect();
    for (_, values) in &table.columns {
        match values {
            Values::F64(values) => out.extend(values.iter().map(|value| value.to_bits())),
            Values::I64(values) => out.extend(values.iter().map(|value| *value as u64)),
            Values::Str(text) => {
                let bytes: Vec<u8> = text.iter().flat_map(str::bytes).collect();
                let word = |eight: &[u8]| eight.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
                out.extend(bytes.chunks(8).map(word));
            }
            _ => {}
        }
    }
    out
}

/// Stands in for a reader that was closed.
struct Closed;

impl Reader for Closed {
    fn pieces(
        &mut self,
        _: &[&str],
        _: &Range<i64>,
        _: &mut dyn FnMut(&[crate::contender::Piece<'_>]),
    ) -> Result<()> {
        Err("the reader was closed".into())
    }
}

/// The timeframes of the batch.
const FRAMES: [Timeframe; 6] =
    [Timeframe::M1, Timeframe::M5, Timeframe::M15, Timeframe::M30, Timeframe::H1, Timeframe::H4];

/// Reads all columns of some bars at once; how many rows that are.
pub(crate) fn read_many(view: &View, keys: &[SeriesKey], range: &Range<i64>) -> Result<usize> {
    let read = view.read_many(keys, range.clone(), &["open", "high", "low", "close", "volume"]);
    let mut found = 0;
    for rows in &read {
        found += rows.as_ref().map_err(ToString::to_string)?.len();
    }
    Ok(found)
}

/// Months of many instruments, each in six timeframes.
pub(crate) fn many(windows: &[Table]) -> Vec<Table> {
    windows.iter().flat_map(|window| FRAMES.map(|timeframe| window.resampled(timeframe))).collect()
}

/// Thirty instruments of six timeframes, read at once: everything, and one week.
pub(crate) fn time_batch(windows: &[Table], count: u32) -> Result<Vec<Value>> {
    let tables = many(windows);
    let root = tempfile::tempdir()?;
    let mut stores: Vec<(String, Store, Vec<SeriesKey>)> = Vec::new();
    for tier in TIERS {
        let tape = Tape::of(tier);
        let directory = root.path().join(tape::tier_name(tier));
        tape::fill(&directory, tape.options(), &tables)?;
        let keys = tables.iter().map(tape::key).collect::<Result<Vec<_>>>()?;
        stores.push((tape.name(), Store::open_read_only(&directory, tape.options())?, keys));
    }
    let peers: Vec<Box<dyn Contender>> =
        contenders(usize::MAX, true, "").into_iter().filter(|c| !c.name().starts_with("tapestore")).collect();
    let mut readers: Vec<(String, Vec<Shared>)> = Vec::new();
    for (number, peer) in peers.iter().enumerate() {
        let mut opened = Vec::new();
        for (series, table) in tables.iter().enumerate() {
            let directory = root.path().join(format!("{number}-{series}"));
            std::fs::create_dir(&directory)?;
            peer.write(table, &directory)?;
            opened.push(Mutex::new(peer.open(&directory)?));
        }
        readers.push((peer.name(), opened));
    }
    let mut out = Vec::new();
    for (workload, range) in [("batch", ALWAYS), ("batch-week", 20 * DAY_NS..27 * DAY_NS)] {
        eprintln!("  {workload}");
        let rows: usize = tables.iter().map(|table| table.rows_between(&range).len()).sum();
        let range = &range;
        let mut all = Vec::new();
        for (name, store, keys) in &stores {
            let view = store.view();
            all.push(Runner::new(name.clone(), move || {
                assert_eq!(read_many(&view, keys, range)?, rows);
                Ok(())
            }));
        }
        for (name, opened) in &readers {
            let shape = &tables[0];
            all.push(Runner::new(name.clone(), move || {
                let found = parallel(opened, range, shape)?;
                assert_eq!(found, rows);
                Ok(())
            }));
        }
        all.push(Runner::new("memory: copy", || {
            let copies = tables.iter().map(|table| table.slice(table.rows_between(range)));
            black_box(copies.collect::<Vec<Table>>());
            Ok(())
        }));
        let times = rounds(count, all)?;
        out.push(result(workload, "30 instruments × 6 timeframes", rows as u64, rows as u64 * 48, times));
    }
    Ok(out)
}

/// Reads all files with as many threads as the store uses, keeping all rows until the end.
fn parallel(readers: &[Shared], range: &Range<i64>, shape: &Table) -> Result<usize> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<Table>> {
        let mut out = Vec::new();
        while let Some(reader) = readers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut table = shape.emptied();
            reader.lock().map_err(|_| "a reader failed")?.rows_into(range, &mut table)?;
            out.push(table);
        }
        Ok(out)
    };
    let mut tables = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            tables.extend(handle.join().map_err(|_| "a thread failed")??);
        }
        Ok(())
    })?;
    Ok(tables.iter().map(Table::len).sum())
}

/// Sizes of a group in every setting.
pub(crate) fn sizes(group: &Group, only: &str, skip: &str) -> Result<Map<String, Value>> {
    let mut all: Vec<Box<dyn Contender>> = Vec::new();
    all.extend(TIERS.map(|tier| Box::new(Tape::of(tier)) as Box<dyn Contender>));
    all.extend(Parquet::all().into_iter().map(|parquet| Box::new(parquet) as Box<dyn Contender>));
    all.extend(Ipc::ALL.map(|ipc| Box::new(ipc) as Box<dyn Contender>));
    if group.tables[0].is_numbers() {
        all.push(Box::new(Pco));
    }
    let wanted = |name: &str| name.contains(only) && (skip.is_empty() || !name.contains(skip));
    let mut out = Map::new();
    let (table, _) = group.concatenated();
    for contender in all.iter().filter(|contender| wanted(&contender.name())) {
        let mut encoded = contender.encode(group)?;
        // Settings that are sized and not timed are checked here.
        if let Some(mut reader) = contender.open_bytes(std::mem::take(&mut encoded.file))? {
            let mut found = table.emptied();
            reader.rows_into(&ALWAYS, &mut found)?;
            if !found.same(&table) {
                return Err(format!("{} gives back other values", contender.name()).into());
            }
        }
        let columns: Map<String, Value> =
            encoded.columns.into_iter().map(|(name, bytes)| (name, Value::from(bytes))).collect();
        let entry = json!({ "bytes": encoded.bytes, "columns": columns, "note": encoded.note, "taken": machine::taken() });
        out.insert(contender.name(), entry);
    }
    Ok(out)
}
