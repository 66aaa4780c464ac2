//! What each form of integer blocks is worth: bytes of a table's blocks with all forms, and without one.
//!
//! Reads CSV with a header from standard input: numbers become mantissas of a common scale, text becomes codes; columns
//! named open, high, low and close are predicted from one another.
//!
//! `zcat FILE.csv.gz | cargo run --release -p tapestore-format --example forms -- NAME`

use std::collections::HashMap;
use std::io::Read;

use tapestore_format::codec::decimal::{Mantissas, choose, gcd, sample};
use tapestore_format::codec::group::{self, Role};
use tapestore_format::codec::int::{Packing, Transform, packing_of};
use tapestore_format::codec::int_encode::{Forms, encode_with};
use tapestore_format::limits::BLOCK_ROWS;

/// Integers of a column, and what they are apart from their prediction, if there is one.
struct Column {
    name: String,
    numbers: Vec<i64>,
    residuals: Option<Vec<i64>>,
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("standard input is text");
    let columns = columns(&text);
    let rows = columns.first().map_or(0, |column| column.numbers.len());
    let all = bytes(&columns, Forms::ALL);
    println!("| {name}, {rows} rows | bytes per row | more |\n|-|-:|-:|");
    println!("| all forms | {:.3} | |", all as f64 / rows as f64);
    let without = |what: &str, forms: Forms| {
        let found = bytes(&columns, forms);
        let more = (found as f64 / all as f64 - 1.0) * 100.0;
        println!("| without {what} | {:.3} | {more:.1} % |", found as f64 / rows as f64);
    };
    for packing in [Packing::Patched, Packing::Classes, Packing::Sparse, Packing::Runs, Packing::Dictionary] {
        without(packing.name(), Forms::ALL.without(packing));
    }
    without("differences", Forms::ALL.without_transform(Transform::Delta));
    without("predictions", Forms::ALL.without_transform(Transform::Group));
    without("differences from two before", Forms::EVERYWHERE);
    let offsets = [Packing::Patched, Packing::Classes, Packing::Sparse, Packing::Runs, Packing::Dictionary];
    let one = offsets.into_iter().fold(Forms::ALL, Forms::without);
    without("any of these packings", one);
    without(
        "any of these packings and transforms",
        [Transform::Delta, Transform::Group, Transform::Alternate]
            .into_iter()
            .fold(one, Forms::without_transform),
    );
    println!();
    shares(&columns);
}

/// Bytes of all blocks.
fn bytes(columns: &[Column], forms: Forms) -> usize {
    let mut out = Vec::new();
    for column in columns {
        each_block(column, |numbers, residuals| encode_with(forms, numbers, residuals, &mut out));
    }
    out.len()
}

fn each_block(column: &Column, mut each: impl FnMut(&[i64], Option<&[i64]>)) {
    for (index, numbers) in column.numbers.chunks(BLOCK_ROWS).enumerate() {
        let start = index * BLOCK_ROWS;
        each(numbers, column.residuals.as_ref().map(|all| &all[start..start + numbers.len()]));
    }
}

/// Which packings and transforms the blocks of each column have.
fn shares(columns: &[Column]) {
    for column in columns {
        let mut found: HashMap<(&str, u8), [usize; 2]> = HashMap::new();
        each_block(column, |numbers, residuals| {
            let mut out = Vec::new();
            encode_with(Forms::ALL, numbers, residuals, &mut out);
            let entry = found.entry((packing_of(out[0]).name(), out[0] >> 3 & 3)).or_default();
            entry[0] += 1;
            entry[1] += out.len();
        });
        let total: usize = found.values().map(|entry| entry[0]).sum();
        let mut list: Vec<_> = found.into_iter().collect();
        list.sort_by_key(|(_, entry)| std::cmp::Reverse(entry[0]));
        let bytes: usize = list.iter().map(|(_, entry)| entry[1]).sum();
        print!("{} {:.3} bytes per row:", column.name, bytes as f64 / column.numbers.len() as f64);
        for ((packing, transform), [blocks, _]) in list.into_iter().take(4) {
            let transform = ["", " of differences", " of predictions", " of differences from two before"]
                [usize::from(transform)];
            print!(" {packing}{transform} {:.0} %,", blocks as f64 / total as f64 * 100.0);
        }
        println!();
    }
}

fn columns(text: &str) -> Vec<Column> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut cells: Vec<Vec<&str>> = vec![Vec::new(); names.len()];
    for line in lines {
        let found: Vec<&str> = line.split(',').collect();
        if found.len() == names.len() {
            cells.iter_mut().zip(found).for_each(|(column, cell)| column.push(cell));
        }
    }
    let numbers: Vec<Option<Vec<f64>>> = cells
        .iter()
        .map(|column| column.iter().map(|cell| cell.parse().ok()).collect::<Option<Vec<f64>>>())
        .collect();
    let roles = [("close", Role::Close), ("open", Role::Open), ("high", Role::High), ("low", Role::Low)];
    let prices: Vec<&Vec<f64>> = roles
        .iter()
        .filter_map(|(name, _)| numbers[names.iter().position(|other| other == name)?].as_ref())
        .collect();
    let exponent = (prices.len() == 4).then(|| common(&prices)).flatten();
    let mut group: HashMap<&str, Vec<i64>> = HashMap::new();
    if let Some(exponent) = exponent {
        let mut all: Vec<Mantissas> =
            prices.iter().map(|values| Mantissas::of(values, exponent, |_| false)).collect();
        let divisor = all.iter().fold(0, |divisor, column| gcd(divisor, column.divisor)).max(1) as i64;
        all.iter_mut().for_each(|column| column.divide(divisor));
        group.extend(roles.iter().map(|role| role.0).zip(all.into_iter().map(|column| column.numbers)));
    }
    let mut out = Vec::new();
    for ((name, cells), numbers) in names.iter().zip(&cells).zip(numbers) {
        let role = roles.iter().find(|role| role.0 == *name && !group.is_empty()).map(|role| role.1);
        let (numbers, residuals) = match (role, numbers) {
            (Some(role), _) => (group[name].clone(), predicted(role, &group)),
            (None, Some(values)) => (mantissas(&values), None),
            (None, None) => (codes(cells), None),
        };
        out.push(Column { name: (*name).to_owned(), numbers, residuals });
    }
    out
}

fn common(prices: &[&Vec<f64>]) -> Option<u8> {
    choose(&prices.iter().flat_map(|values| sample(values, |_| true, 128)).collect::<Vec<f64>>())
}

fn predicted(role: Role, group: &HashMap<&str, Vec<i64>>) -> Option<Vec<i64>> {
    let numbers = match role {
        Role::Close => return None,
        Role::Open => &group["open"],
        Role::High => &group["high"],
        Role::Low => &group["low"],
    };
    let mut out = Vec::new();
    for (index, block) in numbers.chunks(BLOCK_ROWS).enumerate() {
        let rows = index * BLOCK_ROWS..index * BLOCK_ROWS + block.len();
        group::residuals(role, &group["close"][rows.clone()], &group["open"][rows], block, &mut out);
    }
    Some(out)
}

/// The mantissas of a column; the bits of its values, if it has no decimals.
fn mantissas(values: &[f64]) -> Vec<i64> {
    let Some(exponent) = choose(&sample(values, |_| true, 512)) else {
        return values.iter().map(|value| value.to_bits() as i64).collect();
    };
    let mut found = Mantissas::of(values, exponent, |_| false);
    found.divide((found.divisor as i64).max(1));
    found.numbers
}

/// Codes of text, by first appearance.
fn codes(cells: &[&str]) -> Vec<i64> {
    let mut known = HashMap::new();
    cells
        .iter()
        .map(|cell| {
            let next = known.len() as i64;
            *known.entry(*cell).or_insert(next)
        })
        .collect()
}
