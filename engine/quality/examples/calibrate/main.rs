//! Measures what the rules find: known faults are put into real bars, and findings compared with what was done. Writes
//! `CALIBRATION.md` beside the crate's manifest.
//!
//! ```console
//! $ TAPE_DATA=DIRECTORY cargo run --release -p tapestore-quality --example calibrate
//! ```

mod daily;
mod hazard;
mod measure;
mod read;
mod report;

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(data) = std::env::var_os("TAPE_DATA").map(PathBuf::from) else {
        return Err("TAPE_DATA does not say where the real data is".into());
    };
    let series = read::series(&data)?;
    let measured = measure::all(&series)?;
    let days = daily::all(&data)?;
    let hazards = hazard::all(&data)?;
    let page = report::page(&series, &measured, &days, &hazards)?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("CALIBRATION.md");
    std::fs::write(&file, page)?;
    println!("{}", file.display());
    Ok(())
}
