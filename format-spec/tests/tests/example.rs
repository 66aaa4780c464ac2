//! `example.md` shows the bytes of a store that the engine opens.

use std::fs;
use std::sync::Arc;

use format_spec_tests::annotate::annotate;
use format_spec_tests::{chapter, example, root};
use tapestore::io::{MemoryStorage, Storage};
use tapestore::{AsOf, Options, SeriesKey, Store, verify_storage};
use tapestore_format::time::MINUTE_NS;

fn storage() -> Arc<dyn Storage> {
    let storage = MemoryStorage::new();
    for (name, bytes) in example::files() {
        let file = storage.create_new(&name).expect("an empty storage");
        file.write_at(0, &bytes).expect("room in memory");
    }
    Arc::new(storage)
}

#[test]
fn the_engine_reads_the_example() {
    let store = Store::open_read_only_on(storage(), Options::default()).unwrap();
    let key = SeriesKey::new("BTC.X", "1m").unwrap();
    let prices = |version| {
        let rows = store.as_of(&AsOf::Version(version)).unwrap().read(&key).rows().unwrap();
        rows.f64("price").unwrap().to_vec()
    };
    assert_eq!(prices(1), [93.25, 93.5, 93.0]);
    assert_eq!(prices(2), [93.25, 94.5, 93.0]);
    let gaps = store.view().gaps(&key, None).unwrap();
    assert_eq!((gaps.len(), gaps[0].start), (1, example::START + 2 * MINUTE_NS));
    let messages: Vec<String> = store.log(9).unwrap().into_iter().map(|commit| commit.message).collect();
    assert_eq!(messages, ["fix", "first"]);
    assert_eq!(verify_storage(&storage(), true).unwrap(), []);
}

/// Set `TAPE_BLESS=1` to write the chapter anew; a change of its bytes is a change of the format or of an encoder.
#[test]
fn the_example_is_up_to_date() {
    let old = chapter("example.md");
    let mut text = old.clone();
    for (name, bytes) in example::files() {
        let begin = format!("<!-- {name} -->\n```text\n");
        let start = text.find(&begin).unwrap_or_else(|| panic!("no place for {name}")) + begin.len();
        let end = start + text[start..].find("```").expect("the end of the dump");
        text.replace_range(start..end, &annotate(&name, &bytes));
    }
    if std::env::var_os("TAPE_BLESS").is_some() {
        fs::write(root().join("format-spec/example.md"), &text).expect("a writable chapter");
    } else {
        assert!(text == old, "format-spec/example.md differs from the bytes made now");
    }
}
