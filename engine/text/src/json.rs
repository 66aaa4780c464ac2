//! JSON objects, one a line.

use crate::is_hidden;
use crate::number::{push_f64, push_i64};

/// Builds one object; members come out in the order they are given.
#[derive(Clone, Debug)]
pub struct Object {
    text: Vec<u8>,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// An object without members.
    pub fn new() -> Self {
        Self { text: vec![b'{'] }
    }

    fn key(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.extend_from_slice(b", ");
        }
        push_string(&mut self.text, name);
        self.text.extend_from_slice(b": ");
    }

    /// A string member.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.key(name);
        push_string(&mut self.text, value);
        self
    }

    /// An integer member.
    #[must_use]
    pub fn int(mut self, name: &str, value: i64) -> Self {
        self.key(name);
        push_i64(&mut self.text, value);
        self
    }

    /// An integer member.
    #[must_use]
    pub fn count(mut self, name: &str, value: u64) -> Self {
        self.key(name);
        self.text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self
    }

    /// A number.
    #[must_use]
    pub fn float(mut self, name: &str, value: f64) -> Self {
        self.key(name);
        push_number(&mut self.text, value);
        self
    }

    /// True or false.
    #[must_use]
    pub fn flag(mut self, name: &str, value: bool) -> Self {
        self.key(name);
        self.text.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// An integer, or null.
    #[must_use]
    pub fn maybe_int(mut self, name: &str, value: Option<i64>) -> Self {
        if let Some(value) = value {
            self.int(name, value)
        } else {
            self.key(name);
            self.text.extend_from_slice(b"null");
            self
        }
    }

    /// A member that is JSON already.
    #[must_use]
    pub fn raw(mut self, name: &str, value: &[u8]) -> Self {
        self.key(name);
        self.text.extend_from_slice(value);
        self
    }

    /// An array of objects.
    #[must_use]
    pub fn objects(self, name: &str, items: impl IntoIterator<Item = Object>) -> Self {
        let mut list = vec![b'['];
        for item in items {
            if list.len() > 1 {
                list.extend_from_slice(b", ");
            }
            list.extend_from_slice(&item.closed());
        }
        list.push(b']');
        self.raw(name, &list)
    }

    /// The object, closed.
    pub fn closed(mut self) -> Vec<u8> {
        self.text.push(b'}');
        self.text
    }

    /// The object as a line.
    pub fn line(self) -> Vec<u8> {
        let mut line = self.closed();
        line.push(b'\n');
        line
    }
}

/// Appends a float as a JSON number; `"NaN"`, `"inf"`, `"-inf"` as strings, since JSON has no such numbers and null
/// would say that there is no value.
pub fn push_number(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        push_f64(out, value);
    } else {
        out.push(b'"');
        push_f64(out, value);
        out.push(b'"');
    }
}

/// A list of strings.
pub fn texts(items: &[impl AsRef<str>]) -> Vec<u8> {
    let mut out = vec![b'['];
    for item in items {
        if out.len() > 1 {
            out.extend_from_slice(b", ");
        }
        push_string(&mut out, item.as_ref());
    }
    out.push(b']');
    out
}

/// Appends a quoted string.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            // Nothing that a terminal would obey; all of these fit four digits.
            c if is_hidden(c) => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_valid_json() {
        let inner = Object::new().count("n", 3);
        let object = Object::new()
            .text("name", "a\"b\\c\n\u{1}\u{202e}é")
            .int("i", -5)
            .float("f", 8e-8)
            .float("nan", f64::NAN)
            .flag("ok", true)
            .maybe_int("none", None)
            .objects("list", [inner.clone(), inner]);
        let text = String::from_utf8(object.line()).unwrap();
        let expected = "{\"name\": \"a\\\"b\\\\c\\n\\u0001\\u202eé\", \"i\": -5, \"f\": 0.00000008, \"nan\": \"NaN\", \"ok\": true, \"none\": null, \"list\": [{\"n\": 3}, {\"n\": 3}]}\n";
        assert_eq!(text, expected);
        assert!(simd_json::to_borrowed_value(&mut text.into_bytes()).is_ok());
    }
}
