//! `tape quality hazard`: forecasts of gaps, and whether they are worth anything.

use super::{Place, member};

/// Bars of an hour over weeks from Monday 2024-01-01 on, without those for which `missing` holds.
fn bars(place: &Place, instrument: &str, weeks: i64, missing: impl Fn(i64) -> bool) {
    let hours = (0..weeks * 168).filter(|hour| !missing(*hour));
    let lines: Vec<String> = hours.map(|hour| format!("{},1,1,1,1,1", 1_704_067_200 + hour * 3600)).collect();
    let file = place.write("bars.csv", lines.join("\n"));
    place.tape(&format!("import {file} --instrument {instrument} --frame 1h")).clean();
}

#[test]
fn gaps_of_every_week_are_forecast_and_others_are_said_to_be_no_skill() {
    let place = Place::new();
    bars(&place, "A.WEEKLY", 30, |hour| hour % 168 == 6 * 24 + 22);
    let json = place.tape("quality hazard --json --hours 1").clean();
    assert_eq!(
        (member(&json, "missing"), member(&json, "weeks"), member(&json, "hour")),
        (30, 9, 6 * 24 + 22)
    );
    assert!(json.contains("\"skill\": true"), "{json}");
    assert!(place.tape("quality hazard").clean().contains("Sun 22:00"), "{json}");
    let place = Place::new();
    // Every 47th: no hour of the week twice in a row.
    bars(&place, "A.CHANCE", 30, |hour| hour % 47 == 40);
    let json = place.tape("quality hazard --json").clean();
    assert!(json.contains("\"skill\": false"), "{json}");
    assert!(place.tape("quality hazard").clean().contains("no skill"), "{json}");
    let ended = place.tape("quality hazard NOWHERE").failed(2);
    assert!(ended.contains("no bars of the store come from \"NOWHERE\""), "{ended}");
    assert!(place.tape("quality hazard --slo soon").failed(2).contains("write 5m"));
}
