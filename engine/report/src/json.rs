//! The state of a store as JSON.

use tapestore::Operation;
use tapestore_alert::Level;
use tapestore_alert::machine::Event;
use tapestore_alert::message::alert;
use tapestore_quality::{Score, Severity};
use tapestore_text::json::Object;

use crate::gather::{Case, Report};
use crate::overview::{Group, Health, Line, Overview};

impl Health {
    /// `good`, `attention`, or the level of the highest alert in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Attention => "attention",
            Self::Alerts(Level::Low) => "low",
            Self::Alerts(Level::Medium) => "medium",
            Self::Alerts(Level::High) => "high",
            Self::Alerts(Level::Critical) => "critical",
        }
    }
}

/// A score with its dimensions; times in nanoseconds, ratios between 0 and 1.
pub fn score(score: &Score) -> Object {
    let object = Object::new()
        .float("ratio", score.ratio)
        .text("tier", score.tier.name())
        .flag("provisional", score.provisional)
        .count("expected", score.tally.expected)
        .count("present", score.tally.present)
        .count("usable", score.tally.usable)
        .count("synthetic", score.tally.synthetic)
        .float("completeness", score.dimensions.completeness)
        .float("validity", score.dimensions.validity)
        .float("consistency", score.dimensions.consistency)
        .float("accuracy", score.dimensions.accuracy);
    match score.lag_ns {
        Some(_) => object.float("timeliness", score.dimensions.timeliness),
        None => object.raw("timeliness", b"null"),
    }
}

fn maybe_score(object: Object, of: Option<&Score>) -> Object {
    match of {
        Some(of) => object.raw("score", &score(of).closed()),
        None => object.raw("score", b"null"),
    }
}

fn group(of: &Group) -> Object {
    let object = Object::new()
        .text("name", &of.name)
        .count("series", of.series)
        .count("rows", of.rows)
        .maybe_int("newest", of.newest_ns)
        .maybe_int("lag_ns", of.lag_ns);
    maybe_score(object, of.score.as_ref())
}

/// A series.
pub fn line(of: &Line) -> Object {
    let object = Object::new()
        .text("instrument", of.key.instrument())
        .text("frame", &of.key.frame().to_string())
        .text("universe", &of.universes.join(", "))
        .count("rows", of.rows)
        .maybe_int("first", of.first_ns)
        .maybe_int("last", of.last_ns)
        .count("bytes", of.bytes)
        .flag("kept", of.kept)
        .maybe_int("lag_ns", of.lag_ns);
    maybe_score(object, of.score.as_ref())
}

fn operation(object: Object, name: &str, of: Option<&Operation>) -> Object {
    let Some(of) = of else { return object.raw(name, b"null") };
    let inner = Object::new()
        .int("time", of.time_ns)
        .text("target", &of.target)
        .text("outcome", of.outcome.name())
        .text("detail", &of.detail)
        .text("error", &of.error);
    object.raw(name, &inner.closed())
}

/// All of it, in one object.
pub fn overview(of: &Overview) -> Object {
    let stats = &of.stats;
    let directory = of.directory.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let severity = |severity: Severity| of.open(severity) as u64;
    let mut object = Object::new()
        .int("time", of.now_ns)
        .text("health", of.health().name())
        .text("store", &directory)
        .text("id", &of.id)
        .count("version", stats.version)
        .count("floor", stats.floor)
        .maybe_int("committed", of.committed_ns)
        .count("series", stats.series)
        .count("rows", stats.rows)
        .count("history_rows", stats.history_rows)
        .count("bytes_on_disk", stats.bytes_on_disk)
        .count("plain_bytes", of.plain_bytes)
        .float("saved", of.saved().unwrap_or(0.0))
        .count("segments", stats.segments)
        .count("snapshots", stats.snapshots);
    object = match of.disk {
        Some(disk) => object.count("disk_free", disk.free).count("disk_bytes", disk.all),
        None => object.raw("disk_free", b"null").raw("disk_bytes", b"null"),
    };
    object = maybe_score(object, of.score.as_ref());
    let tiers =
        of.tiers.iter().fold(Object::new(), |object, (tier, series)| object.count(tier.name(), *series));
    object = object
        .raw("tiers", &tiers.closed())
        .objects("universes", of.groups.iter().map(group))
        .objects("timeframes", of.frames.iter().map(group))
        .count("findings_high", severity(Severity::High))
        .count("findings_medium", severity(Severity::Medium))
        .count("findings_low", severity(Severity::Low))
        .objects("alerts", of.firing().into_iter().map(|it| alert(Event::Fired, it)));
    object = operation(object, "fetch", of.fetch.0.as_ref());
    object = operation(object, "fetch_ok", of.fetch.1.as_ref());
    object = operation(object, "verify", of.verified.as_ref());
    operation(object, "backup", of.backed_up.as_ref())
}

fn case(of: &Case) -> Object {
    let it = &of.finding;
    Object::new()
        .text("instrument", it.key.instrument())
        .text("frame", &it.key.frame().to_string())
        .text("rule", it.rule.name())
        .text("severity", it.severity.name())
        .int("from", it.at_ns)
        .int("to", it.end_ns)
        .int("worst", it.worst_ns)
        .count("bars", it.bars)
        .text("evidence", &it.evidence)
}

/// What a page shows, without its pictures: the overview, all series, the findings that are drawn, the trend, the days.
pub fn report(of: &Report) -> Object {
    let days = of.heat.rows.iter().map(|row| {
        let tiers: String =
            row.cells.iter().map(|cell| cell.map_or("-", tapestore_quality::Tier::name)).collect();
        Object::new().text("series", &row.name).text("tiers", &tiers).text("share", &row.share)
    });
    let trend = of.trend.iter().map(|it| {
        Object::new()
            .count("version", it.version)
            .int("time", it.time_ns)
            .count("expected", it.score.tally.expected)
            .count("usable", it.score.tally.usable)
            .float("ratio", it.score.ratio)
    });
    let object = Object::new()
        .raw("overview", &overview(&of.overview).closed())
        .objects("series", of.overview.lines.iter().map(line))
        .objects("findings", of.cases.iter().map(case))
        .count("findings_open", of.overview.findings.len() as u64)
        .objects("trend", trend)
        .raw("day_columns", &tapestore_text::json::texts(&of.heat.dates))
        .int("days_a_column", of.heat.days)
        .objects("days", days)
        .count("instruments_left_out", of.heat.left_out as u64);
    match &of.speed {
        None => object.raw("reading", b"null"),
        Some(speed) => object.raw(
            "reading",
            &Object::new()
                .count("series", speed.series as u64)
                .count("rows", speed.rows)
                .float("seconds", speed.first_s)
                .float("rows_a_second", speed.rows_per_s)
                .float("random_median_ms", speed.median_ms)
                .float("random_p99_ms", speed.p99_ms)
                .closed(),
        ),
    }
}
