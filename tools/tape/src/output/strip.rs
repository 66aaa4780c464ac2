//! Coverage as a strip of blocks: each cell is a stretch of time, its height the share of bars that are there.

use tapestore_format::coverage::Run;

/// From nothing to everything.
const BLOCKS: [char; 10] = ['·', '▁', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws the slots `[start, end)` in `width` cells. Only a full cell is a full block, only an empty one a dot.
/// Linear in runs and cells.
pub(crate) fn strip(runs: &[Run], start: i64, end: i64, width: usize) -> String {
    let slots = end.saturating_sub(start);
    if slots <= 0 || width == 0 {
        return String::new();
    }
    let width = (width as i64).min(slots) as usize;
    let edge = |cell: usize| start + (i128::from(slots) * cell as i128 / width as i128) as i64;
    let mut runs = runs.iter().skip_while(|run| run.end <= start).peekable();
    let mut out = String::with_capacity(width * 3);
    for cell in 0..width {
        let (from, to) = (edge(cell), edge(cell + 1));
        let mut covered = 0;
        while let Some(run) = runs.peek() {
            covered += (run.end.min(to) - run.start.max(from)).max(0);
            if run.end > to {
                break;
            }
            runs.next();
        }
        out.push(block(covered, to - from));
    }
    out
}

fn block(covered: i64, of: i64) -> char {
    match covered {
        0 => BLOCKS[0],
        _ if covered >= of => BLOCKS[9],
        _ => BLOCKS[1 + (i128::from(covered) * 8 / i128::from(of)) as usize],
    }
}

/// A share in percent that is never rounded up to 100 nor down to 0.
pub(crate) fn percent(part: u64, of: u64) -> String {
    if of == 0 {
        return String::from("-");
    }
    if part >= of {
        return String::from("100 %");
    }
    let share = part as f64 * 100.0 / of as f64;
    match part {
        0 => String::from("0 %"),
        _ if share > 99.99 => String::from(">99.99 %"),
        _ if share < 0.01 => String::from("<0.01 %"),
        _ => format!("{share:.2} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: i64, end: i64) -> Run {
        Run { start, end }
    }

    #[test]
    fn full_and_empty_cells_are_exact() {
        assert_eq!(strip(&[run(0, 100)], 0, 100, 5), "█████");
        assert_eq!(strip(&[run(0, 40), run(60, 100)], 0, 100, 5), "██·██");
        assert_eq!(strip(&[run(0, 99)], 0, 100, 2), "█▇");
        assert_eq!(strip(&[run(99, 100)], 0, 100, 2), "·▁");
        assert_eq!(strip(&[run(-50, 25), run(50, 500)], 0, 100, 4), "█·██");
        assert_eq!(strip(&[], 0, 0, 5), "");
        assert_eq!(strip(&[run(0, 2)], 0, 3, 10), "██·", "never more cells than slots");
    }

    #[test]
    fn shares_never_claim_too_much() {
        assert_eq!(percent(10, 10), "100 %");
        assert_eq!(percent(999_999, 1_000_000), ">99.99 %");
        assert_eq!(percent(1, 10_000_000), "<0.01 %");
        assert_eq!([percent(0, 5), percent(1, 3), percent(0, 0)], ["0 %", "33.33 %", "-"]);
    }
}
