//! All 72 columns of a frame given as raw doubles, for scripts that compare them with other libraries.
//!
//! `columns IN OUT [TIMES]`: IN holds open, high, low, close and volume, one column after the other, little-endian; OUT
//! gets the 72 columns in their order. The whole frame is one run. Prints the names of the columns, then the least of
//! TIMES times in seconds.

use std::error::Error;
use std::time::Instant;

use tapestore_factor::{Bars, Factor, Selection, Table, compute};

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
    let (mut table, mut least) = (Table::default(), f64::INFINITY);
    for _ in 0..times.max(1) {
        let start = Instant::now();
        compute(&bars, &[0..rows], Selection::ALL, &mut table);
        least = least.min(start.elapsed().as_secs_f64());
    }
    let mut bytes = Vec::with_capacity(rows * Factor::ALL.len() * 8);
    for factor in Factor::ALL {
        let column = table.column(factor).expect("all are asked for");
        bytes.extend(column.iter().flat_map(|value| value.to_le_bytes()));
    }
    std::fs::write(output, bytes)?;
    println!("{}", Factor::ALL.map(Factor::name).join(" "));
    println!("{least}");
    Ok(())
}
