//! Every rule by its name: bars that break it, and bars that come near and do not.

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS};
use tapestore::{Batch, ColumnType, RunVec, SeriesKey, Store, Values, flags, schema};
use tapestore_quality::{FindingState, Rule, Rules, Setup, check, compare_and_note, findings};

use crate::market::{Table, key, minutes, setup, store};

/// Bars of one or more series, and where the last of them breaks the rule.
struct Case {
    what: &'static str,
    tables: Vec<(SeriesKey, Table)>,
    /// One more column of the last series.
    column: Option<(&'static str, Values)>,
    /// Rows of the last series with flags.
    flagged: Option<(std::ops::Range<usize>, u16)>,
    tick: Option<f64>,
    /// Findings: where they begin, in seconds, and how many bars they are about.
    found: Vec<(i64, u64)>,
}

fn case(what: &'static str, table: Table, found: &[(i64, u64)]) -> Case {
    of(what, vec![(key("A.X", "1m"), table)], found)
}

fn of(what: &'static str, tables: Vec<(SeriesKey, Table)>, found: &[(i64, u64)]) -> Case {
    Case { what, tables, column: None, flagged: None, tick: None, found: found.to_vec() }
}

impl Case {
    fn with(mut self, name: &'static str, values: Values) -> Self {
        self.column = Some((name, values));
        self
    }

    fn flagged(mut self, rows: std::ops::Range<usize>, bits: u16) -> Self {
        self.flagged = Some((rows, bits));
        self
    }

    fn tick(mut self, tick: f64) -> Self {
        self.tick = Some(tick);
        self
    }
}

/// A day of minutes.
fn day() -> Table {
    minutes(1, 5)
}

fn changed(mut table: Table, change: impl FnOnce(&mut Table)) -> Table {
    change(&mut table);
    table
}

fn prices(table: &mut Table, rows: std::ops::Range<usize>, factor: f64) {
    table.values[..4]
        .iter_mut()
        .for_each(|column| column[rows.clone()].iter_mut().for_each(|v| *v *= factor));
}

/// All but the volume of some rows as the first of them is.
fn hold(table: &mut Table, rows: std::ops::Range<usize>) {
    table.values[..4].iter_mut().for_each(|column| {
        let first = column[rows.start];
        column[rows.clone()].fill(first);
    });
}

/// 2024-01-02, a Tuesday, 00:00 UTC: Hong Kong trades from 01:30 to 04:00 and from 05:00 to 08:00 UTC.
const TUESDAY: i64 = 19_724 * DAY_NS;

fn hong_kong(day: i64, early_ns: i64) -> Table {
    let mut table = Table::walk(day + HOUR_NS + 30 * MINUTE_NS - early_ns, MINUTE_NS, 150, 7);
    let afternoon = Table::walk(day + 5 * HOUR_NS - early_ns, MINUTE_NS, 180, 8);
    join(&mut table, afternoon);
    table
}

fn join(table: &mut Table, other: Table) {
    table.time.extend(other.time);
    table.values.iter_mut().zip(other.values).for_each(|(column, more)| column.extend(more));
}

fn found(case: &Case, rule: Rule) -> Vec<(i64, u64)> {
    let (_directory, store) = store();
    write(&store, case);
    let setup = Setup { rules: Rules { tick: case.tick, ..Rules::default() }, ..setup() };
    check(&store, |_| true, &setup).unwrap();
    let keys: Vec<SeriesKey> = case.tables.iter().map(|table| table.0.clone()).collect();
    if rule == Rule::Source {
        compare_and_note(&store, &keys, &(i64::MIN..i64::MAX), &setup).unwrap();
    }
    let key = keys.last().unwrap();
    let all = findings(&store.view(), i64::MIN..i64::MAX).unwrap();
    let wanted = all.iter().filter(|one| one.key == *key && one.rule == rule);
    let wanted =
        wanted.inspect(|one| assert_eq!((one.state, one.severity), (FindingState::Open, rule.severity())));
    wanted.map(|one| (one.at_ns / SECOND_NS, one.bars)).collect()
}

fn write(store: &Store, case: &Case) {
    let mut transaction = store.begin();
    for (at, (key, table)) in case.tables.iter().enumerate() {
        let last = at + 1 == case.tables.len();
        let mut batch: Batch = table.batch();
        let mut schema = schema::bars();
        if let Some((name, values)) = case.column.as_ref().filter(|_| last) {
            schema = if *name == "close_time" {
                let builder = ["open", "high", "low", "close", "volume"]
                    .iter()
                    .fold(schema::SchemaBuilder::unique(), |builder, name| {
                        builder.column(name, ColumnType::F64)
                    });
                builder.column(name, ColumnType::Timestamp).build().unwrap()
            } else {
                schema::bars_with(&[name]).unwrap()
            };
            batch = batch.with(name, values.clone());
        }
        if let Some((rows, bits)) = case.flagged.as_ref().filter(|_| last) {
            let mut flags = RunVec::default();
            flags.push(0, rows.start);
            flags.push(*bits, rows.len());
            flags.push(0, table.time.len() - rows.end);
            batch = batch.with_flags(flags);
        }
        transaction.create_series(key, schema).unwrap();
        transaction.upsert(key, batch).unwrap();
    }
    transaction.commit().unwrap();
}

/// One value of a column is another one.
fn one(column: usize, row: usize, value: f64) -> Table {
    changed(day(), |table| table.values[column][row] = value)
}

/// What breaks a rule, and what does not.
fn cases(rule: Rule) -> (Vec<Case>, Vec<Case>) {
    match rule {
        Rule::Missing | Rule::Synthetic | Rule::Outside => completeness(rule),
        Rule::Finite | Rule::Price | Rule::Volume | Rule::Grid | Rule::CloseTime | Rule::Tick => {
            validity(rule)
        }
        Rule::Range | Rule::Flat | Rule::Amount | Rule::Taker => within(rule),
        Rule::Coarser | Rule::Repeated | Rule::Shifted | Rule::Source => between(rule),
        Rule::Spike | Rule::Unit | Rule::Outlier | Rule::Level => returns(rule),
        Rule::Stale | Rule::Flatline | Rule::Activity => habits(rule),
        _ => (Vec::new(), Vec::new()),
    }
}

fn completeness(rule: Rule) -> (Vec<Case>, Vec<Case>) {
    let hk = |table: Table| vec![(key("0700.HK", "1m"), table)];
    let at = |ns: i64| ns / SECOND_NS;
    match rule {
        Rule::Missing => (
            vec![
                case("seven bars", day().without(100..107), &[(6000, 7)]),
                of(
                    "a bar of a session",
                    hk(hong_kong(TUESDAY, 0).without(149..150)),
                    &[(at(TUESDAY + 3 * HOUR_NS + 59 * MINUTE_NS), 1)],
                ),
            ],
            vec![
                case(
                    "what is before the first and after the last",
                    day().without(0..10).without(1000..1430),
                    &[],
                ),
                of(
                    "lunch and night",
                    hk(changed(hong_kong(TUESDAY, 0), |t| join(t, hong_kong(TUESDAY + DAY_NS, 0)))),
                    &[],
                ),
            ],
        ),
        Rule::Synthetic => (
            vec![case("two bars", day(), &[(3000, 2)]).flagged(50..52, flags::SYNTHETIC)],
            vec![
                case("a repaired bar", day(), &[]).flagged(50..52, flags::REPAIRED),
                case("another source's bar", day(), &[]).flagged(50..52, flags::REPAIRED | flags::CROSS),
            ],
        ),
        _ => outside(),
    }
}

fn outside() -> (Vec<Case>, Vec<Case>) {
    let hk = |table: Table| vec![(key("0700.HK", "1m"), table)];
    let at = |ns: i64| ns / SECOND_NS;
    let with = |time: i64, count: usize| {
        let mut table = hong_kong(TUESDAY, 0);
        let more = Table::walk(time, MINUTE_NS, count, 3);
        let place = table.time.partition_point(|known| *known < time);
        let mut out = table.clone().without(place..table.time.len());
        join(&mut out, more);
        join(&mut out, table.without(0..place));
        table = out;
        hk(table)
    };
    let lunch = TUESDAY + 4 * HOUR_NS + 30 * MINUTE_NS;
    (
        vec![
            of("at lunch", with(lunch, 2), &[(at(lunch), 2)]),
            of("before the market opens", with(TUESDAY + HOUR_NS, 1), &[(at(TUESDAY + HOUR_NS), 1)]),
            of(
                "on a Sunday",
                hk(changed(hong_kong(TUESDAY - 2 * DAY_NS, 0).without(1..330), |t| {
                    join(t, hong_kong(TUESDAY, 0));
                })),
                &[(at(TUESDAY - 2 * DAY_NS + HOUR_NS + 30 * MINUTE_NS), 1)],
            ),
        ],
        vec![
            of("in session", hk(hong_kong(TUESDAY, 0)), &[]),
            of("the closing auction", with(TUESDAY + 8 * HOUR_NS + 8 * MINUTE_NS, 1), &[]),
            case("at any time where nothing closes", minutes(3, 2), &[]),
        ],
    )
}

fn validity(rule: Rule) -> (Vec<Case>, Vec<Case>) {
    let full = || case("whole and sound", day(), &[]);
    let cell = |what, column, value| case(what, one(column, 700, value), &[(42_000, 1)]);
    match rule {
        Rule::Finite => (
            vec![
                cell("no open", 0, f64::NAN),
                cell("an endless high", 1, f64::INFINITY),
                cell("a volume that is no number", 4, f64::NAN),
            ],
            vec![full(), case("a very large volume", one(4, 700, 1e300), &[])],
        ),
        Rule::Price => (
            vec![cell("a low of zero", 2, 0.0), cell("a close below zero", 3, -5.0)],
            vec![full(), case("a low near zero", one(2, 700, 1e-300), &[])],
        ),
        Rule::Volume => (
            vec![
                cell("below zero", 4, -1.0),
                cell("an amount below zero", 4, 1.0)
                    .with("quote_volume", column(|row| if row == 700 { -1.0 } else { 1e5 })),
            ],
            vec![full(), case("none", changed(one(4, 700, 0.0), |t| hold_bar(t, 700)), &[])],
        ),
        Rule::Grid => {
            let late = |table: Table, row: usize| changed(table, |t| t.time[row] += 30 * SECOND_NS);
            (
                vec![
                    case("half a minute late", late(day(), 700), &[(42_030, 1)]),
                    of(
                        "an hour that begins at half past, where nothing closes",
                        vec![(
                            key("A.X", "1h"),
                            changed(Table::walk(0, HOUR_NS, 48, 1), |t| t.time[20] += 30 * MINUTE_NS),
                        )],
                        &[(73_800, 1)],
                    ),
                ],
                vec![
                    full(),
                    of(
                        "an hour that begins with the session",
                        vec![(
                            key("0700.HK", "1h"),
                            Table::walk(TUESDAY + HOUR_NS + 30 * MINUTE_NS, HOUR_NS, 3, 1),
                        )],
                        &[],
                    ),
                ],
            )
        }
        Rule::CloseTime => {
            let ends = |short: i64| {
                let end = move |row: usize| if row == 700 { 60_000_000_000 - short } else { 59_999_000_000 };
                Values::I64((0..1440_usize).map(|row| row as i64 * MINUTE_NS + end(row)).collect())
            };
            (
                vec![
                    case("ten seconds short", day(), &[(42_000, 1)]).with("close_time", ends(10 * SECOND_NS)),
                    case("behind the end", day(), &[(42_000, 1)]).with("close_time", ends(-1_000_000)),
                ],
                vec![
                    case("the end", day(), &[]).with("close_time", ends(0)),
                    case("a microsecond before it", day(), &[]).with("close_time", ends(1_000)),
                ],
            )
        }
        _ => (
            vec![cell("between two steps", 3, 10_000.005).tick(0.01)],
            vec![full().tick(0.01), case("no tick is declared", one(3, 700, 10_000.005), &[])],
        ),
    }
}

fn column(of: impl Fn(usize) -> f64) -> Values {
    Values::F64((0..1440).map(of).collect())
}

/// One price for a bar.
fn hold_bar(table: &mut Table, row: usize) {
    let close = table.values[3][row];
    table.values[..3].iter_mut().for_each(|column| column[row] = close);
}

fn within(rule: Rule) -> (Vec<Case>, Vec<Case>) {
    let full = || case("whole and sound", day(), &[]);
    let table = day();
    let wrong = &[(42_000, 1)];
    let turnover = |factor: f64| {
        let table = day();
        column(move |row| {
            let amount = table.values[3][row] * table.values[4][row];
            if row == 700 { amount * factor } else { amount }
        })
    };
    let taken = |factor: f64| {
        let table = day();
        column(move |row| if row == 700 { table.values[4][row] * factor } else { 0.0 })
    };
    match rule {
        Rule::Range => (
            vec![
                case("a high below the close", one(1, 700, table.values[3][700] - 1.0), wrong),
                case("a low above the open", one(2, 700, table.values[0][700] + 1.0), wrong),
            ],
            vec![
                full(),
                case("one price", changed(day(), |t| hold_bar(t, 700)), &[]),
                case(
                    "rounding",
                    changed(day(), |t| {
                        t.values[1][700] = t.values[0][700].max(t.values[3][700]) * (1.0 - f64::EPSILON);
                    }),
                    &[],
                ),
            ],
        ),
        Rule::Flat => (
            vec![case("it moves, and nothing is traded", one(4, 700, 0.0), wrong)],
            vec![
                full(),
                case(
                    "nothing is traded, nothing moves",
                    changed(one(4, 700, 0.0), |t| hold_bar(t, 700)),
                    &[],
                ),
                case("prices of another exchange", one(4, 700, 0.0), &[])
                    .flagged(700..701, flags::REPAIRED | flags::CROSS),
            ],
        ),
        Rule::Amount => (
            vec![
                case("above the high", day(), wrong).with("quote_volume", turnover(1.01)),
                case("below the low", day(), wrong).with("quote_volume", turnover(0.99)),
            ],
            vec![case("close times volume", day(), &[]).with("quote_volume", turnover(1.0)), full()],
        ),
        _ => (
            vec![case("more than was traded", day(), wrong).with("taker_buy_base", taken(1.01))],
            vec![case("all that was traded", day(), &[]).with("taker_buy_base", taken(1.0)), full()],
        ),
    }
}

fn between(rule: Rule) -> (Vec<Case>, Vec<Case>) {
    let at = |ns: i64| ns / SECOND_NS;
    match rule {
        Rule::Coarser => {
            let five = |change: fn(&mut Table)| {
                vec![(key("A.X", "1m"), day()), (key("A.X", "5m"), changed(day().coarser(5), change))]
            };
            let holed = vec![
                (key("A.X", "1m"), day().without(502..503)),
                (key("A.X", "5m"), changed(day().coarser(5), |t| t.values[1][100] += 1.0)),
            ];
            (
                vec![
                    of("another high", five(|t| t.values[1][100] += 1.0), &[(30_000, 1)]),
                    of("another volume", five(|t| t.values[4][100] *= 1.001), &[(30_000, 1)]),
                ],
                vec![
                    of("the aggregate", five(|_| {}), &[]),
                    of("a sum in another order", five(|t| t.values[4][100] *= 1.0 + 1e-12), &[]),
                    of("a finer bar is missing", holed, &[]),
                ],
            )
        }
        Rule::Repeated => repeated(),
        Rule::Shifted => {
            let days = |early: i64, gone: std::ops::Range<usize>| {
                let mut table = hong_kong(TUESDAY, 0);
                join(&mut table, hong_kong(TUESDAY + DAY_NS, early).without(gone));
                join(&mut table, hong_kong(TUESDAY + 2 * DAY_NS, 0));
                vec![(key("0700.HK", "1m"), table)]
            };
            let hour_early = at(TUESDAY + DAY_NS + 30 * MINUTE_NS);
            (
                vec![of("an hour early", days(HOUR_NS, 0..0), &[(hour_early, 330)])],
                vec![
                    of("at its hours", days(0, 0..0), &[]),
                    of("an hour is missing", days(0, 0..60), &[]),
                    of("three minutes early", days(3 * MINUTE_NS, 0..0), &[]),
                ],
            )
        }
        _ => {
            let sources = |change: fn(&mut Table)| {
                ["P.A", "P.B", "P.C"]
                    .map(|name| (key(name, "1m"), if name == "P.C" { changed(day(), change) } else { day() }))
                    .to_vec()
            };
            (
                vec![of(
                    "a bar two hundredths dearer",
                    sources(|t| prices(t, 900..901, 1.02)),
                    &[(54_000, 1)],
                )],
                vec![
                    of("the same everywhere", sources(|_| {}), &[]),
                    of("dearer all the time", sources(|t| prices(t, 0..1440, 1.01)), &[]),
                ],
            )
        }
    }
}

fn repeated() -> (Vec<Case>, Vec<Case>) {
    let twice = |days: usize, change: fn(&mut Table)| {
        let table = changed(minutes(days, 3), |table| {
            for column in &mut table.values {
                let first: Vec<f64> = column[..1440].to_vec();
                let from = (days - 1) * 1440;
                column[from..].copy_from_slice(&first);
            }
        });
        changed(table, change)
    };
    (
        vec![
            case("the day before", twice(2, |_| {}), &[(86_400, 1440)]),
            case("a day of twenty days before", twice(21, |_| {}), &[(20 * DAY_NS / SECOND_NS, 1440)]),
        ],
        vec![
            case("but for one volume", twice(2, |t| t.values[4][2000] += 0.5), &[]),
            case("a day of twenty-one days before", twice(22, |_| {}), &[]),
            case(
                "eleven bars",
                {
                    let table = twice(2, |_| {});
                    table.without(1451..2880).without(11..1440)
                },
                &[],
            ),
        ],
    )
}

fn returns(rule: Rule) -> (Vec<Case>, Vec<Case>) {
    let times = |rows: std::ops::Range<usize>, factor: f64| changed(day(), |t| prices(t, rows, factor));
    let sound = || case("a quiet walk", day(), &[]);
    match rule {
        Rule::Spike => (
            vec![
                case("a tenth up and back", times(700..701, 1.1), &[(42_000, 1)]),
                case("a tenth down and back", times(700..701, 0.9), &[(42_000, 1)]),
            ],
            vec![sound(), case("a tenth up, for good", times(700..1440, 1.1), &[])],
        ),
        Rule::Outlier => (
            vec![case("a tenth up, for good", times(700..1440, 1.1), &[(42_000, 1)])],
            vec![sound(), case("too early to say", times(20..1440, 1.1), &[])],
        ),
        Rule::Unit => (
            vec![
                case("twenty bars in cents", times(500..520, 100.0), &[(30_000, 20)]),
                case("twenty bars in hundreds", times(500..520, 0.01), &[(30_000, 20)]),
            ],
            vec![
                sound(),
                case("fifty times", times(500..520, 50.0), &[]),
                case("for good", times(500..1440, 100.0), &[]),
            ],
        ),
        _ => (
            vec![case("in cents from here on", times(500..1440, 100.0), &[(30_000, 1)])],
            vec![
                sound(),
                case("fifty times, for good", times(500..1440, 50.0), &[]),
                case("and back again", times(500..520, 100.0), &[]),
            ],
        ),
    }
}

fn habits(rule: Rule) -> (Vec<Case>, Vec<Case>) {
    match rule {
        Rule::Stale => {
            let again = |rows: std::ops::Range<usize>, volume: f64| {
                changed(day(), |table| {
                    hold(table, rows.clone());
                    table.values[4][rows].fill(volume);
                })
            };
            (
                vec![case("seven bars", again(700..707, 12.0), &[(42_060, 6)])],
                vec![
                    case("two bars", again(700..702, 12.0), &[]),
                    case(
                        "nothing is traded",
                        changed(again(700..707, 0.0), |t| (700..707).for_each(|row| hold_bar(t, row))),
                        &[],
                    ),
                    case("other volumes", changed(day(), |t| hold(t, 700..707)), &[]),
                    case(
                        "a bar is missing between any two",
                        again(700..704, 12.0).without(703..704).without(701..702),
                        &[],
                    ),
                ],
            )
        }
        Rule::Flatline => {
            // Prices that stand still for up to four minutes, ten times a day, and on the third day for longer.
            let still = |days: usize, length: usize| {
                changed(minutes(days, 9), |table| {
                    for row in (0..(days - 1) * 1440).step_by(144) {
                        hold(table, row + 20..row + 24);
                    }
                    let row = (days - 1) * 1440 + 600;
                    hold(table, row..row + length);
                })
            };
            let at = |minute: i64| (2 * 1440 + minute) * 60;
            (
                vec![case("ten minutes", still(3, 10), &[(at(604), 6)])],
                vec![
                    case("four minutes", still(3, 4), &[]),
                    case("the first day", changed(minutes(1, 9), |t| hold(t, 600..700)), &[]),
                    of(
                        "too few bars to say",
                        vec![(
                            key("A.X", "1h"),
                            changed(Table::walk(0, HOUR_NS, 24 * 25, 9), |t| hold(t, 500..520)),
                        )],
                        &[],
                    ),
                ],
            )
        }
        _ => {
            let hours = |days: usize, row: usize, factor: f64| {
                let table = changed(Table::walk(0, HOUR_NS, 24 * days, 4), |t| t.values[4][row] *= factor);
                vec![(key("A.X", "1h"), table)]
            };
            let row = 24 * 22 + 5;
            let at = row as i64 * 3600;
            (
                vec![
                    of("a million times", hours(25, row, 1e6), &[(at, 1)]),
                    of("a millionth", hours(25, row, 1e-6), &[(at, 1)]),
                ],
                vec![
                    of("as always", hours(25, row, 1.0), &[]),
                    of("twice as much", hours(25, row, 2.0), &[]),
                    of("nine days are no habit", hours(10, 24 * 9 + 5, 1e6), &[]),
                ],
            )
        }
    }
}

#[test]
fn every_rule_finds_what_breaks_it_and_nothing_that_does_not() {
    for rule in Rule::ALL.iter().copied() {
        let (wrong, right) = cases(rule);
        assert!(!wrong.is_empty() && !right.is_empty(), "{rule} has no cases");
        for case in &wrong {
            assert!(!case.found.is_empty(), "{rule}: {}", case.what);
            assert_eq!(found(case, rule), case.found, "{rule}: {}", case.what);
        }
        for case in &right {
            assert_eq!(found(case, rule), [], "{rule}: {}", case.what);
        }
    }
}
