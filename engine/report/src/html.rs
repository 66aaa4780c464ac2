//! The frame of a page: escaping, style, head and foot. Pages made with it need no network and hold no script; a browser is
//! told so, and enforces it.

use std::fmt::Write as _;

use tapestore_text::plain;

/// The style of all pages: light and dark as the reader's system is, narrow screens, paper.
pub const STYLE: &str = include_str!("page.css");

/// Text of a store, of a file or of an error as text of a page: never markup, nothing hidden.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Begins a page; what follows is its body. `more` is style of its own.
pub fn begin(title: &str, more: &str) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><style>\n{STYLE}{more}</style></head>\n<body>\n",
        escaped(title)
    );
    out
}

/// Ends a page.
pub fn end(out: &mut String) {
    out.push_str("</body></html>\n");
}

/// The head of a table: names, and whether their columns are of text.
pub fn table(out: &mut String, heads: &[(&str, bool)]) {
    headed(out, "", heads);
}

/// The head of a table with a column of words, whose rows are paragraphs where a page is narrow.
pub fn told(out: &mut String, heads: &[(&str, bool)]) {
    headed(out, " class=\"told\"", heads);
}

fn headed(out: &mut String, class: &str, heads: &[(&str, bool)]) {
    let _ = write!(out, "<div class=\"wide\"><table{class}><thead><tr>");
    for (head, text) in heads {
        let _ = write!(out, "<th{}>{}</th>", if *text { " class=\"l\"" } else { "" }, escaped(head));
    }
    out.push_str("</tr></thead><tbody>\n");
}

/// A row of a table: cells, escaped, and whether they are text.
pub fn row(out: &mut String, cells: &[(String, bool)]) {
    out.push_str("<tr>");
    for (cell, text) in cells {
        let _ = write!(out, "<td{}>{}</td>", if *text { " class=\"l\"" } else { "" }, escaped(cell));
    }
    out.push_str("</tr>\n");
}

/// Ends a table.
pub fn end_table(out: &mut String) {
    out.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escaped("<b onclick='x'>&\u{202e}"), "&lt;b onclick=&#39;x&#39;&gt;&amp;·");
        assert!(begin("</title><script>", "").contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
    }
}
