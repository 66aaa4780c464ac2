//! The types of the columns of a table, from every row of the file.

use tapestore_format::schema::ColumnType;

/// What the cells of one column have been so far.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the cells")]
pub(crate) struct Guess {
    filled: bool,
    empty: bool,
    not_integer: bool,
    not_bool: bool,
    not_float: bool,
    /// A real float: with a point, a negative exponent, or a name such as `inf`.
    float: bool,
    /// `20002E20`: a float to a parser, but just as well a hexadecimal number.
    exponent_only: bool,
}

impl Guess {
    /// Takes one cell into account.
    pub(crate) fn see(&mut self, cell: &[u8]) {
        let cell = cell.trim_ascii();
        if cell.is_empty() {
            self.empty = true;
            return;
        }
        self.filled = true;
        self.not_bool |= !(cell.eq_ignore_ascii_case(b"true") || cell.eq_ignore_ascii_case(b"false"));
        if is_integer(cell) {
            return;
        }
        self.not_integer = true;
        let digits = cell.strip_prefix(b"-").unwrap_or(cell);
        let leading_zero = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
        let plain_integer = digits != b"0" && digits.iter().all(u8::is_ascii_digit);
        let parses = || std::str::from_utf8(cell).is_ok_and(|text| text.parse::<f64>().is_ok());
        // An integer that is not an i64 (007, or beyond 64 bits) is an identifier: a float would change it.
        if leading_zero || plain_integer || !parses() {
            self.not_float = true;
        } else if digits != b"0"
            && digits.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'e' | b'E'))
        {
            self.exponent_only = true;
        } else {
            self.float = true;
        }
    }

    /// The narrowest type that holds every cell, and whether some were empty. A column without any value is `f64`.
    pub(crate) fn kind(&self) -> (ColumnType, bool) {
        let kind = if !self.filled {
            ColumnType::F64
        } else if !self.not_bool {
            ColumnType::Bool
        } else if !self.not_integer {
            ColumnType::I64
        } else if !self.not_float && (self.float || !self.exponent_only) {
            ColumnType::F64
        } else {
            ColumnType::String
        };
        (kind, self.empty)
    }
}

/// An `i64` that is written the way it would be written again.
fn is_integer(cell: &[u8]) -> bool {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    let usual = match digits {
        [b'0'] => cell.len() == 1,
        [] | [b'0', ..] => false,
        _ => digits.iter().all(u8::is_ascii_digit),
    };
    usual && (digits.len() < 19 || std::str::from_utf8(cell).is_ok_and(|text| text.parse::<i64>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cells: &[&str]) -> (ColumnType, bool) {
        let mut guess = Guess::default();
        for cell in cells {
            guess.see(cell.as_bytes());
        }
        guess.kind()
    }

    #[test]
    fn the_narrowest_type_that_loses_nothing_is_taken() {
        use ColumnType::{Bool, F64, I64, String};
        for (cells, expected) in [
            (vec!["1", "-2", "0"], (I64, false)),
            (vec!["1", ""], (I64, true)),
            (vec!["1", "2.5"], (F64, false)),
            (vec!["8e-8", "1"], (F64, false)),
            (vec!["inf", "nan", "1"], (F64, false)),
            (vec!["true", "False"], (Bool, false)),
            (vec!["true", "1"], (String, false)),
            (vec!["P", "Q"], (String, false)),
            (vec!["2000", "2000A"], (String, false)),
            (vec!["2000", "20002E20"], (String, false)),
            (vec!["1.5", "2E5"], (F64, false)),
            (vec!["007", "1"], (String, false)),
            (vec!["9223372036854775807"], (I64, false)),
            (vec!["9223372036854775808"], (String, false)),
            (vec!["", ""], (F64, true)),
            (vec!["-0"], (F64, false)),
            (vec!["-0", "1.5", "2"], (F64, false)),
        ] {
            assert_eq!(kind(&cells), expected, "{cells:?}");
        }
    }
}
