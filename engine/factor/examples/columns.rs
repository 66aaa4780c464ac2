//! All 72 columns of a frame given as raw doubles, for scripts that compare them with other libraries.
//!
//! `columns IN OUT [TIMES [alpha158]]`: IN holds open, high, low, close and volume, one column after the other, little-endian; OUT
//! gets the 72 columns in their order, or those of Alpha158. The whole frame is one run. Prints the names of the columns, then the least of
//! TIMES times in seconds.

use std::error::Error;
use std::time::Instant;

use tapestore_factor::{Bars, Factor, Selection, Table, alpha158, compute};

fn write(path: &str, columns: &[&[f64]]) -> std::io::Result<()> {
    let bytes: Vec<u8> =
        columns.iter().flat_map(|column| column.iter()).flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(path, bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, rest @ ..] = &arguments[..] else { return Err("columns IN OUT [TIMES]".into()) };
    let times: usize = rest.first().map_or(Ok(1), |text| text.parse())?;
    let bytes = std::fs::read(input)?;
    let values: Vec<f64> = bytes
        .chunks_exact(8)
        .map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight bytes")))
        .collect();
    let rows = values.len() / 5;
    let column = |number: usize| &values[number * rows..(number + 1) * rows];
    let bars = Bars::new(column(0), column(1), column(2), column(3), column(4))?;
    if rest.get(1).is_some_and(|pack| pack == "alpha158") {
        let pack = alpha158()?;
        let start = Instant::now();
        let columns = pack.compute(&bars, &[0..rows]);
        let took = start.elapsed().as_secs_f64();
        write(output, &columns.iter().map(|column| &column[..]).collect::<Vec<_>>())?;
        println!("{}\n{took}", pack.names().collect::<Vec<_>>().join(" "));
        return Ok(());
    }
    let (mut table, mut least) = (Table::default(), f64::INFINITY);
    for _ in 0..times.max(1) {
        let start = Instant::now();
        compute(&bars, &[0..rows], Selection::ALL, &mut table);
        least = least.min(start.elapsed().as_secs_f64());
    }
    let (names, columns): (Vec<&str>, Vec<&[f64]>) =
        Factor::ALL.into_iter().filter_map(|factor| Some((factor.name(), table.column(factor)?))).unzip();
    write(output, &columns)?;
    println!("{}", names.join(" "));
    println!("{least}");
    Ok(())
}
