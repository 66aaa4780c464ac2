//! A hexdump with the meaning of every field beside it.

use std::fmt::Write;

/// Walks over the bytes of a file and notes what each field is.
pub struct Dump<'a> {
    bytes: &'a [u8],
    /// Offset of the next field.
    pub at: usize,
    text: String,
}

const WIDTH: usize = 16;

impl<'a> Dump<'a> {
    /// Begins at the start of a file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, text: String::new() }
    }

    /// The text; every byte must have been noted.
    pub fn finish(self) -> String {
        assert_eq!(self.at, self.bytes.len(), "every byte of the file has a meaning");
        self.text
    }

    /// Notes a title.
    pub fn title(&mut self, title: &str) {
        let _ = writeln!(self.text, "# {title}");
    }

    /// Notes the next `count` bytes.
    pub fn field(&mut self, count: usize, meaning: &str) -> &'a [u8] {
        let field = &self.bytes[self.at..self.at + count];
        for (index, line) in field.chunks(WIDTH).enumerate() {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let meaning = if index == 0 { meaning } else { "" };
            let offset = self.at + index * WIDTH;
            let line = format!("{offset:04x}  {:<48}{meaning}", hex.join(" "));
            let _ = writeln!(self.text, "{}", line.trim_end());
        }
        self.at += count;
        field
    }

    fn number(&mut self, count: usize, meaning: &str) -> u64 {
        let value = self.bytes[self.at..self.at + count]
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        self.field(count, &format!("{meaning}: {value}"));
        value
    }

    /// Notes one byte.
    pub fn u8(&mut self, meaning: &str) -> u64 {
        self.number(1, meaning)
    }

    /// Notes a `u16`.
    pub fn u16(&mut self, meaning: &str) -> u64 {
        self.number(2, meaning)
    }

    /// Notes a `u32`.
    pub fn u32(&mut self, meaning: &str) -> u64 {
        self.number(4, meaning)
    }

    /// Notes a `u64`.
    pub fn u64(&mut self, meaning: &str) -> u64 {
        self.number(8, meaning)
    }

    /// Notes an `i64`.
    pub fn i64(&mut self, meaning: &str) {
        let value = i64::from_le_bytes(self.bytes[self.at..self.at + 8].try_into().expect("eight bytes"));
        self.field(8, &format!("{meaning}: {value}"));
    }

    /// Notes an `f64`.
    pub fn f64(&mut self, meaning: &str) {
        let value = f64::from_le_bytes(self.bytes[self.at..self.at + 8].try_into().expect("eight bytes"));
        self.field(8, &format!("{meaning}: {value}"));
    }

    /// Notes a checksum.
    pub fn crc(&mut self, meaning: &str) {
        self.field(4, meaning);
    }

    fn leb(&self) -> (usize, u64) {
        let mut value = 0;
        for (index, byte) in self.bytes[self.at..].iter().enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return (index + 1, value);
            }
        }
        panic!("a varint ends");
    }

    /// Notes a varint.
    pub fn varint(&mut self, meaning: &str) -> u64 {
        let (count, value) = self.leb();
        self.field(count, &format!("{meaning}: {value}"));
        value
    }

    /// Notes an svarint.
    pub fn svarint(&mut self, meaning: &str) -> i64 {
        let (count, raw) = self.leb();
        let value = (raw >> 1) as i64 ^ -((raw & 1) as i64);
        self.field(count, &format!("{meaning}: {value}"));
        value
    }

    /// Notes a string with its length.
    pub fn string(&mut self, meaning: &str) {
        let length = usize::from(self.bytes[self.at]) | usize::from(self.bytes[self.at + 1]) << 8;
        let text = String::from_utf8_lossy(&self.bytes[self.at + 2..self.at + 2 + length]).into_owned();
        self.field(2 + length, &format!("{meaning}: {text:?}"));
    }

    /// Notes zeros up to a multiple of `alignment`.
    pub fn padding(&mut self, alignment: usize) {
        let count = self.at.next_multiple_of(alignment) - self.at;
        if count > 0 {
            assert!(self.field(count, "padding").iter().all(|byte| *byte == 0));
        }
    }
}
