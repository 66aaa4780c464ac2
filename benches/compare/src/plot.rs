//! Bars as SVG: horizontal, one a row, with its figure beside it.

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    /// The figure as it is to be read.
    pub(crate) text: String,
    /// Ours, or a peer's.
    pub(crate) own: bool,
}

/// A plot of bars; with `log`, lengths grow with the logarithm.
pub(crate) fn bars(title: &str, note: &str, log: bool, bars: &[Bar]) -> String {
    const ROW: usize = 22;
    const LEFT: f64 = 380.0;
    const WIDE: f64 = 420.0;
    let height = 64 + bars.len() * ROW + 12;
    let (low, high) = bars
        .iter()
        .fold((f64::INFINITY, 0.0f64), |(low, high), bar| (low.min(bar.value), high.max(bar.value)));
    // The shortest bar of a logarithmic plot stays visible: the axis begins at half of it.
    let length = |value: f64| {
        if log {
            ((value / (low / 2.0)).ln() / (high / (low / 2.0)).ln()).max(0.0) * WIDE
        } else {
            value / high * WIDE
        }
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"920\" height=\"{height}\" viewBox=\"0 0 920 {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"920\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"600\" fill=\"#1a1a1a\">{}</text>\n\
         <text x=\"16\" y=\"46\" fill=\"#5a5a5a\">{}</text>\n",
        escaped(title),
        escaped(note),
    );
    for (row, bar) in bars.iter().enumerate() {
        let top = 62 + row * ROW;
        let (width, color) = (length(bar.value).max(1.0), if bar.own { "#1f6feb" } else { "#b8c0cc" });
        let weight = if bar.own { "600" } else { "400" };
        out.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-weight=\"{weight}\" fill=\"#1a1a1a\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{width:.1}\" height=\"15\" fill=\"{color}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#1a1a1a\">{}</text>\n",
            LEFT - 8.0,
            top + 12,
            escaped(&bar.label),
            LEFT + width + 6.0,
            top + 12,
            escaped(&bar.text),
        ));
    }
    out.push_str("</svg>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_marks_are_escaped() {
        let bar = |value| Bar { label: "a<b".into(), value, text: String::new(), own: false };
        for log in [false, true] {
            let svg = bars("t & u", "", log, &[bar(1.0), bar(10.0)]);
            assert!(svg.contains("width=\"420.0\"") && svg.contains("a&lt;b") && svg.contains("t &amp; u"));
        }
    }
}
