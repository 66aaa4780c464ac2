//! What is seen of a broken rule, in words and numbers that people can read.

use tapestore::Timeframe;
use tapestore::time::DAY_NS;

use crate::bars::Bars;
use crate::coarser::end_of;
use crate::rule::Rule;

/// Of the first of some bars that break a rule together.
pub(crate) fn evidence(bars: &Bars<'_>, timeframe: Timeframe, rule: Rule, found: &[usize]) -> String {
    let row = found[0];
    let close = number(bars.close[row]);
    let before = || number(row.checked_sub(1).map_or(f64::NAN, |row| bars.close[row]));
    let after = || number(bars.close.get(row + 1).copied().unwrap_or(f64::NAN));
    let volume = bars.volume.map_or(f64::NAN, |volume| volume[row]);
    let value = |name: &str| bars.value(name, row).unwrap_or(f64::NAN);
    let first = match rule {
        Rule::Synthetic => format!("close {close} was made up"),
        Rule::Outside if timeframe >= Timeframe::D1 && bars.time[row].rem_euclid(DAY_NS) != 0 => {
            "it does not stand at midnight UTC of a trading day; tape import --drop-zone keeps dates"
                .to_owned()
        }
        Rule::Outside => "no session is open".to_owned(),
        Rule::Shifted => {
            "the day misses a stretch and has one that is not its own: its clock is wrong".to_owned()
        }
        Rule::Repeated => "the bars are those of a day before, value by value".to_owned(),
        Rule::Grid => "the bar opens between two bars of its timeframe".to_owned(),
        Rule::Spike => format!("close {close} between {} and {}", before(), after()),
        Rule::Outlier | Rule::Unit | Rule::Level => format!("close {close} after {}", before()),
        Rule::Activity => format!("volume {} is unlike the same time of the days before", number(volume)),
        Rule::Amount => format!(
            "quote volume {} / volume {} is {}, not between low {} and high {}",
            number(value("quote_volume")),
            number(volume),
            number(value("quote_volume") / volume),
            number(bars.low[row]),
            number(bars.high[row])
        ),
        Rule::Taker => format!(
            "takers bought {} of {}, and {} of {} in quotes",
            number(value("taker_buy_base")),
            number(volume),
            number(value("taker_buy_quote")),
            number(value("quote_volume"))
        ),
        Rule::CloseTime => {
            let short = end_of(timeframe, bars.time[row]) as f64 - value("close_time");
            format!("the close time stands {} s before the end of the bar", number(short / 1e9))
        }
        _ => {
            let prices = [bars.open[row], bars.high[row], bars.low[row], bars.close[row]];
            let mut shown = prices.map(number);
            // What differs has to be seen to differ.
            let alike =
                |a: usize, b: usize| shown[a] == shown[b] && prices[a].to_bits() != prices[b].to_bits();
            if (0..4).any(|a| (0..a).any(|b| alike(a, b))) {
                shown = prices.map(|price| price.to_string());
            }
            let [o, h, l, c] = shown;
            format!("open {o}, high {h}, low {l}, close {c}, volume {}", number(volume))
        }
    };
    if found.len() == 1 { first } else { format!("{} bars; the first: {first}", found.len()) }
}

/// A number as people read it: as it is where it has at most twelve digits, else with nine; very large and small ones with
/// an exponent.
pub(crate) fn number(value: f64) -> String {
    if value != 0.0 && value.is_finite() && !(1e-9..1e15).contains(&value.abs()) {
        let text = format!("{value:e}");
        return if text.len() <= 14 { text } else { format!("{value:.8e}") };
    }
    let text = value.to_string();
    let digits = text.trim_start_matches(['-', '0', '.']).chars().filter(char::is_ascii_digit).count();
    if digits <= 12 || !text.contains('.') {
        return text;
    }
    let whole = value.abs().log10().floor() as i32 + 1;
    let decimals = usize::try_from(9 - whole).unwrap_or(0);
    let short = format!("{value:.decimals$}");
    if short.contains('.') { short.trim_end_matches('0').trim_end_matches('.').to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_where_they_are_short_and_readable_where_they_are_not() {
        let is = |value: f64, text: &str| assert_eq!(number(value), text);
        is(93_500.1, "93500.1");
        is(0.000_012_34, "0.00001234");
        is(-0.0, "-0");
        is(45.123_456_789_012_34, "45.1234568");
        is(0.1 + 0.2, "0.3");
        is(-1_234.567_890_123_45, "-1234.56789");
        is(0.000_012_345_678_901_234_5, "0.0000123456789");
        is(123_456_789_012_345.0, "123456789012345");
        is(123_456_789_012.345_6, "123456789012");
        is(1e300, "1e300");
        is(1.0 / 3e12, "3.33333333e-13");
        is(f64::NAN, "NaN");
        is(f64::INFINITY, "inf");
    }
}
