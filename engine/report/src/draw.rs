//! Pictures as SVG inside of a page. Colours are classes of the page's style, so that they are right in light and in dark.

use std::fmt::Write as _;

use tapestore_quality::Tier;

use crate::html::escaped;

/// A row of a map of days.
#[derive(Clone, Debug)]
pub struct HeatRow {
    /// What it is.
    pub name: String,
    /// A cell a stretch of days: the tier of its bars; `None`: none is expected.
    pub cells: Vec<Option<Tier>>,
    /// What stands at its end.
    pub share: String,
}

/// Widths and heights, in pixels.
const NAME: f64 = 172.0;
const SHARE: f64 = 76.0;
const ROW: f64 = 17.0;
const HEAD: f64 = 20.0;

/// Instruments by days, as two pictures: the days, and the names, which stay where they are when the days are moved. `dates`
/// are the beginnings of the columns, written; some of them are shown. Neighbours of one tier are one shape, so a page stays
/// small.
pub fn heat(rows: &[HeatRow], dates: &[String]) -> String {
    let columns = dates.len().max(1);
    let cell = (980.0 / columns as f64).min(26.0);
    let plot = cell * columns as f64;
    let (width, height) = (plot + SHARE, HEAD + ROW * rows.len() as f64 + 2.0);
    let size = |width: f64| {
        format!("width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\"")
    };
    let mut names = format!("<svg class=\"names\" {}>", size(NAME));
    let mut out = format!(
        "<svg {} role=\"img\" aria-label=\"Share of expected bars that can be used, by instrument and day\">",
        size(width)
    );
    let every = columns.div_ceil((plot / 92.0).max(1.0) as usize);
    for (column, date) in dates.iter().enumerate().step_by(every.max(1)) {
        let x = cell * column as f64;
        // The last one needs room.
        if x + 66.0 <= width {
            let _ = write!(out, "<text x=\"{x:.1}\" y=\"13\">{}</text>", escaped(date));
        }
    }
    for (place, row) in rows.iter().enumerate() {
        let y = HEAD + ROW * place as f64;
        let _ = write!(
            names,
            "<text class=\"n\" x=\"0\" y=\"{:.0}\">{}<title>{}</title></text>",
            y + 12.0,
            escaped(&shortened(&row.name, 25)),
            escaped(&row.name)
        );
        for part in row.cells.chunk_by(|a, b| a == b).scan(0, |at, part| {
            let from = *at;
            *at += part.len();
            Some((from, part))
        }) {
            let (from, part) = part;
            let class = part[0].map_or("n", Tier::name);
            let (x, w) = (cell * from as f64, cell * part.len() as f64);
            let _ = write!(
                out,
                "<rect class=\"h{class}\" x=\"{x:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"{:.0}\"/>",
                (w - 0.4).max(0.4),
                ROW - 2.0
            );
        }
        let _ = write!(
            out,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            width - 2.0,
            y + 12.0,
            escaped(&row.share)
        );
    }
    let _ = write!(out, "</svg>{names}</svg>");
    out
}

fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters - 1).chain(['…']).collect()
}

/// A bar, or bars that are not there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Candle {
    /// Open, high, low, close, volume; whether it is what the picture is about.
    Bar([f64; 5], bool),
    /// So many are missing; whether the picture is about them.
    Hole(u64, bool),
}

/// Size of a picture of candles.
const CANDLES: (f64, f64) = (340.0, 150.0);

/// Candles in order of time, what it is about on a bright ground; values that are no numbers are left out.
pub fn candles(items: &[Candle], about: &str) -> String {
    let (width, height) = CANDLES;
    let (left, right, top, bottom) = (2.0, 62.0, 4.0, 30.0);
    let units: f64 = items.iter().map(Candle::units).sum::<f64>().max(1.0);
    let unit = ((width - left - right) / units).min(14.0);
    let bars = || {
        items.iter().filter_map(|item| match item {
            Candle::Bar(bar, _) => Some(bar),
            Candle::Hole(..) => None,
        })
    };
    let prices = || bars().flat_map(|bar| bar[..4].iter().copied()).filter(|price| price.is_finite());
    let (least, most) = (prices().fold(f64::INFINITY, f64::min), prices().fold(f64::NEG_INFINITY, f64::max));
    let volume = bars().map(|bar| bar[4]).filter(|volume| volume.is_finite()).fold(0.0, f64::max);
    let span = if most > least { most - least } else { 1.0 };
    let y = |price: f64| top + (height - top - bottom) * (1.0 - (price - least) / span);
    let mut out = format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Bars around {}\">",
        escaped(about)
    );
    let mut shapes = String::new();
    let mut x = left;
    for item in items {
        let wide = item.units() * unit;
        if item.is_marked() {
            let _ = write!(
                out,
                "<rect class=\"mark\" x=\"{x:.1}\" y=\"0\" width=\"{wide:.1}\" height=\"{height}\"/>"
            );
        }
        match item {
            Candle::Bar(bar, _) => one(&mut shapes, bar, x, wide, &y, volume, height),
            Candle::Hole(count, _) => {
                let _ = write!(
                    shapes,
                    "<rect class=\"hole\" x=\"{:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{:.0}\"/>\
                     <text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
                    x + 1.0,
                    (wide - 2.0).max(1.0),
                    height - top - 2.0,
                    x + wide / 2.0,
                    height / 2.0,
                    count_text(*count)
                );
            }
        }
        x += wide;
    }
    out.push_str(&shapes);
    if most >= least {
        for (price, at) in [(most, 12.0), (least, height - bottom)] {
            let _ = write!(
                out,
                "<text x=\"{:.0}\" y=\"{at:.0}\">{}</text>",
                width - right + 4.0,
                price_text(price)
            );
        }
    }
    let _ =
        write!(out, "<text x=\"{:.0}\" y=\"{:.0}\">volume</text></svg>", width - right + 4.0, height - 3.0);
    out
}

impl Candle {
    /// How wide it is, beside a bar.
    fn units(&self) -> f64 {
        match self {
            Self::Bar(..) => 1.0,
            Self::Hole(count, _) => (*count as f64).clamp(3.0, 8.0),
        }
    }

    fn is_marked(&self) -> bool {
        matches!(self, Self::Bar(_, true) | Self::Hole(_, true))
    }
}

fn one(
    out: &mut String,
    bar: &[f64; 5],
    x: f64,
    wide: f64,
    y: &dyn Fn(f64) -> f64,
    volume: f64,
    height: f64,
) {
    let [open, high, low, close, traded] = *bar;
    if traded.is_finite() && volume > 0.0 {
        let tall = 22.0 * traded.max(0.0) / volume;
        let _ = write!(
            out,
            "<rect class=\"vol\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
            x + wide * 0.15,
            height - tall - 1.0,
            wide * 0.7
        );
    }
    if ![open, high, low, close].iter().all(|price| price.is_finite()) {
        return;
    }
    let class = if close >= open { "up" } else { "down" };
    let (above, below) = (y(open.max(close)), y(open.min(close)));
    let middle = x + wide / 2.0;
    let _ = write!(
        out,
        "<g class=\"{class}\"><line x1=\"{middle:.1}\" x2=\"{middle:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
         <rect x=\"{:.1}\" y=\"{above:.1}\" width=\"{:.1}\" height=\"{:.1}\" stroke=\"none\"/></g>",
        y(high),
        y(low),
        x + wide * 0.15,
        wide * 0.7,
        (below - above).max(1.0)
    );
}

/// Six digits are enough beside a picture.
fn price_text(price: f64) -> String {
    let digits = (5 - price.abs().max(1e-9).log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{price:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn count_text(count: u64) -> String {
    match count {
        0..10_000 => format!("{count}"),
        10_000..10_000_000 => format!("{}k", count / 1000),
        _ => format!("{}M", count / 1_000_000),
    }
}

/// Size of a curve.
const CURVE: (f64, f64) = (340.0, 120.0);

/// A curve with its least and greatest value, written with so many decimals, and a line at `base`, which is always in it.
pub fn curve(values: &[f32], base: f32, decimals: usize, about: &str) -> String {
    let (width, height) = CURVE;
    let least = values.iter().copied().fold(base, f32::min);
    let most = values.iter().copied().fold(base, f32::max);
    let span = f64::from(most - least).max(1e-9);
    let y = |value: f32| 4.0 + (height - 8.0) * (1.0 - f64::from(value - least) / span);
    let step = width / (values.len() as f64 - 1.0).max(1.0);
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(point, value)| format!("{:.1},{:.1}", point as f64 * step, y(*value)))
        .collect();
    format!(
        "<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"{name}\">\
         <line class=\"base\" x1=\"0\" x2=\"{width}\" y1=\"{start:.1}\" y2=\"{start:.1}\"/>\
         <polyline class=\"curve\" points=\"{2}\"/>\
         <text x=\"{right}\" y=\"12\">{most:.decimals$}</text>\
         <text x=\"{right}\" y=\"{bottom}\">{least:.decimals$}</text></svg>",
        width + 56.0,
        height,
        points.join(" "),
        start = y(base),
        right = width + 4.0,
        bottom = height - 3.0,
        name = escaped(about),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_stay_inside_of_their_picture() {
        let drawn = curve(&[1.0, 0.5, 2.0, 1.5], 1.0, 4, "x");
        let points = drawn.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(points, "0.0,78.7 113.3,116.0 226.7,4.0 340.0,41.3");
        assert!(drawn.contains(">2.0000<") && drawn.contains(">0.5000<"));
        assert!(curve(&[1.0, 1.0], 1.0, 4, "x").contains("points=\"0.0,116.0 340.0,116.0\""));
    }

    #[test]
    fn candles_survive_values_that_are_no_numbers() {
        let bar = |v: f64| Candle::Bar([v, v, v, v, v], true);
        let items = [bar(f64::NAN), bar(f64::INFINITY), Candle::Hole(12, false), bar(-1.0)];
        for items in [&items[..], &items[..1], &[]] {
            let drawn = candles(items, "<x>");
            assert!(
                !drawn.contains("NaN") && !drawn.contains("inf") && drawn.contains("&lt;x&gt;"),
                "{drawn}"
            );
        }
    }

    #[test]
    fn neighbours_of_one_tier_are_one_shape() {
        let cells = [vec![Some(Tier::S); 50], vec![None; 3], vec![Some(Tier::F); 2]].concat();
        let dates: Vec<String> = (0..55).map(|day| format!("day {day}")).collect();
        let drawn = heat(&[HeatRow { name: "A<B".into(), cells, share: "99 %".into() }], &dates);
        assert_eq!(drawn.matches("<rect").count(), 3);
        assert!(drawn.contains("A&lt;B") && drawn.contains("hn") && drawn.contains("hF"));
    }
}
