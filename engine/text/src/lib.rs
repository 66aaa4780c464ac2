//! What programs around a store write and read as text, in one place for the command line, alerts and reports: JSON
//! ([`json`]), numbers ([`number`]), times ([`stamp`]), and [`plain`] text that drives no terminal.

pub mod json;
pub mod number;
pub mod stamp;

/// Whether a character would drive a terminal or hide something, instead of showing itself: controls, and those that change
/// the direction of text or take no space.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text of a store, of a file or of an error, fit for a terminal.
pub fn plain(text: &str) -> String {
    text.replace(is_hidden, "·")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_is_replaced() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}c\u{202e}d\u{200b}é腾\n"), "a·[2Jb·c·d·é腾·");
    }
}
