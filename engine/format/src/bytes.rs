//! Little-endian cursors over bytes: the only way this crate reads variable-length metadata.

use crate::error::{FormatError, Result};

/// Reads values from a slice; every read is checked against what remains.
#[derive(Clone, Debug)]
pub struct ByteReader<'a> {
    bytes: &'a [u8],
    position: usize,
    rule: &'static str,
}

impl<'a> ByteReader<'a> {
    /// A reader at the start of `bytes`; running out of bytes is reported as a break of `rule`.
    pub fn new(bytes: &'a [u8], rule: &'static str) -> Self {
        Self { bytes, position: 0, rule }
    }

    /// Cites another rule in errors from here on.
    pub fn cite(&mut self, rule: &'static str) {
        self.rule = rule;
    }

    /// Bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    /// An error at the current position.
    pub fn error(&self, detail: impl Into<String>) -> FormatError {
        FormatError::corrupt(self.rule, self.position as u64, detail)
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        if count > self.remaining() {
            return Err(self.error(format!("{count} bytes wanted, {} left", self.remaining())));
        }
        let start = self.position;
        self.position += count;
        Ok(&self.bytes[start..self.position])
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A little-endian `u16`.
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// A little-endian `u32`.
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A little-endian `u64`.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A little-endian `i64`.
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A string with a `u16` length before it, at most `limit` bytes of UTF-8.
    pub fn string(&mut self, limit: usize) -> Result<String> {
        let length = self.u16()? as usize;
        if length > limit {
            return Err(self.error(format!("string of {length} bytes, at most {limit} allowed")));
        }
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.error("string is not UTF-8")),
        }
    }

    /// An unsigned LEB128 number of at most ten bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        // Most are short.
        match self.bytes[self.position..] {
            [byte @ ..0x80, ..] => {
                self.position += 1;
                Ok(u64::from(byte))
            }
            [low, high @ ..0x80, ..] => {
                self.position += 2;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64> {
        // Up to eight bytes at once: those of a word up to the first without its highest bit.
        if let Some(bytes) = self.bytes[self.position..].first_chunk() {
            let word = u64::from_le_bytes(*bytes);
            let last = !word & 0x8080_8080_8080_8080;
            if last != 0 {
                let bits = last.trailing_zeros() + 1;
                self.position += bits as usize / 8;
                return Ok(without_high_bits(word & (u64::MAX >> (64 - bits))));
            }
        }
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(self.error("varint beyond 64 bits"));
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error("varint longer than ten bytes"))
    }

    /// A zigzag LEB128 number.
    #[inline]
    pub fn signed_varint(&mut self) -> Result<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Fails unless every byte was read.
    #[inline]
    pub fn finish(self) -> Result<()> {
        if self.remaining() == 0 {
            Ok(())
        } else {
            Err(self.error(format!("{} bytes left over", self.remaining())))
        }
    }
}

/// The low seven bits of every byte, end to end.
#[inline]
fn without_high_bits(word: u64) -> u64 {
    let pairs = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// Appends little-endian values to a vector: the writing twin of [`ByteReader`].
pub trait ByteWriter {
    /// Appends one byte.
    fn put_u8(&mut self, value: u8);
    /// Appends a little-endian `u16`.
    fn put_u16(&mut self, value: u16);
    /// Appends a little-endian `u32`.
    fn put_u32(&mut self, value: u32);
    /// Appends a little-endian `u64`.
    fn put_u64(&mut self, value: u64);
    /// Appends a little-endian `i64`.
    fn put_i64(&mut self, value: i64);
    /// Appends a string with a `u16` length before it; the caller has checked the length.
    fn put_string(&mut self, text: &str);
    /// Appends an unsigned LEB128 number.
    fn put_varint(&mut self, value: u64);
    /// Appends a zigzag LEB128 number.
    fn put_signed_varint(&mut self, value: i64);
    /// Appends zeros until the length is a multiple of `alignment`.
    fn pad_to(&mut self, alignment: usize);
}

impl ByteWriter for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_string(&mut self, text: &str) {
        debug_assert!(u16::try_from(text.len()).is_ok());
        self.put_u16(text.len() as u16);
        self.extend_from_slice(text.as_bytes());
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_signed_varint(&mut self, value: i64) {
        self.put_varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn pad_to(&mut self, alignment: usize) {
        let padded = self.len().next_multiple_of(alignment);
        self.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_at_every_edge() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                out.put_varint(value);
                out.put_signed_varint(value as i64);
                let mut reader = ByteReader::new(&out, "T");
                assert_eq!(reader.varint().unwrap(), value);
                assert_eq!(reader.signed_varint().unwrap(), value as i64);
                reader.finish().unwrap();
            }
        }
    }

    /// However many bytes follow, and with zeros behind the highest bits, which no writer puts there.
    #[test]
    fn varints_end_at_the_first_byte_without_its_highest_bit() {
        for length in 1..=10 {
            for behind in 0..10 {
                let mut bytes = vec![0x80 | 0x55; length];
                bytes[length - 1] = 1;
                let numbers = bytes.iter().enumerate();
                let wanted = numbers.fold(0, |sum, (at, byte)| sum | u64::from(byte & 0x7f) << (7 * at));
                bytes.resize(length + behind, 0xff);
                let mut reader = ByteReader::new(&bytes, "T");
                assert_eq!((reader.varint().unwrap(), reader.position()), (wanted, length));
                bytes[..length].fill(0x80);
                bytes[length - 1] = 0;
                let mut reader = ByteReader::new(&bytes, "T");
                assert_eq!((reader.varint().unwrap(), reader.position()), (0, length));
                let cut = ByteReader::new(&bytes[..length - 1], "T").varint();
                assert!(cut.is_err(), "{length} bytes cut short");
            }
        }
    }

    #[test]
    fn overlong_varint_is_refused() {
        assert!(ByteReader::new(&[0xff; 11], "T").varint().is_err());
        assert!(
            ByteReader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], "T")
                .varint()
                .is_err()
        );
    }

    #[test]
    fn reading_past_the_end_names_the_position() {
        let error = ByteReader::new(&[1, 2, 3], "T9").u64().unwrap_err();
        assert_eq!((error.rule, error.offset), ("T9", 0));
    }
}
