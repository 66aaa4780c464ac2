//! Prints every session of every compiled exchange, for `oracle/compare.py`: exchange, date, open and close in seconds since
//! 1970, UTC, whether the day stands in our own list, why.
//!
//! ```console
//! $ cargo run -p tapestore-calendar --example days
//! ```

use std::io::{BufWriter, Write};

use tapestore::time::{SECOND_NS, date_text};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for exchange in tapestore_calendar::all().iter().filter(|exchange| exchange.name() != "24x7") {
        let days = exchange.days();
        writeln!(out, "{},range,{},{}", exchange.name(), date_text(days.start), date_text(days.end - 1))?;
        for day in exchange.days_in(days)? {
            let own = if day.own { day.note.as_deref().unwrap_or("own") } else { "" };
            let ends = day.sessions.iter().flat_map(|session| [session.open.start, session.open.end]);
            let ends: Vec<String> = ends.map(|end| (end / SECOND_NS).to_string()).collect();
            writeln!(out, "{},{},{},{own}", exchange.name(), date_text(day.day_ns), ends.join(" "))?;
        }
    }
    out.flush()?;
    Ok(())
}
