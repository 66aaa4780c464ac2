//! Reading JSON in memory that is used again: a page is a hundred kilobytes, and fresh memory costs more than parsing it.

use std::cell::RefCell;

use simd_json::{Buffers, INPUT_PADDING, Node, Tape, fill_tape_padded};

use crate::source::Refusal;

/// Longer texts do not leave their memory behind.
const KEPT_BYTES: usize = 4 << 20;

#[derive(Default)]
struct Reader {
    text: Vec<u8>,
    buffers: Buffers,
    nodes: Vec<Node<'static>>,
}

thread_local! {
    static READER: RefCell<Reader> = RefCell::default();
}

/// Hands the nodes of a JSON text to `take`.
///
/// # Errors
/// [`Refusal::Broken`] if it is no JSON, and what `take` refuses.
pub(crate) fn with_nodes<T>(
    text: &[u8],
    take: impl FnOnce(&[Node<'_>]) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    // Taken out while it is used: `take` may read JSON itself.
    let mut reader = READER.take();
    reader.text.clear();
    reader.text.extend_from_slice(text);
    reader.text.resize(text.len() + INPUT_PADDING, 0);
    let mut tape = Tape(reader.nodes).reset();
    let result = match fill_tape_padded(&mut reader.text, text.len(), &mut reader.buffers, &mut tape) {
        Ok(()) => take(&tape.0),
        Err(error) => Err(Refusal::Broken(format!("no JSON: {error}"))),
    };
    reader.nodes = tape.reset().0;
    if text.len() <= KEPT_BYTES {
        READER.set(reader);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_one_after_another_and_within_one_another() {
        let count = |text: &str| with_nodes(text.as_bytes(), |nodes| Ok(nodes.len()));
        assert_eq!(count("[1,2,3]"), Ok(4));
        assert_eq!(count("[]"), Ok(1));
        assert!(matches!(count("[1,"), Err(Refusal::Broken(text)) if text.starts_with("no JSON")));
        assert!(count("").is_err());
        let inner = with_nodes(b"[\"outer\"]", |outer| {
            let inner = count("[4,5]")?;
            assert!(matches!(outer[1], Node::String("outer")));
            Ok(inner)
        });
        assert_eq!(inner, Ok(3));
        let long = format!("[{}1]", "1,".repeat(KEPT_BYTES));
        assert_eq!(count(&long), Ok(KEPT_BYTES + 2));
        assert_eq!(count("[1,2,3]"), Ok(4));
    }
}
