//! Names of any kind, given wherever a name can be given: each is refused with one error that says so, or stored and found
//! again, and none becomes a path (D3).

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{MINUTE, options};
use tapestore::io::{MemoryStorage, RealStorage, Storage};
use tapestore::schema::SchemaBuilder;
use tapestore::{
    AsOf, Batch, Column, ColumnType, ErrorClass, Frame, KeyPolicy, Operation, Result, Schema, SeriesKey,
    Store, Values, salvage_directory, verify_directory, verify_storage,
};

/// Names that have meant something else to some program.
fn hostile() -> Vec<String> {
    let plain = [
        "",
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:\\x",
        "CURRENT",
        "LOCK",
        "wal-000000000001.tape",
        "%s%n{}",
        "'; drop table bars; --",
        "--help",
        "腾讯.HK",
        "1m",
        "1min",
        "time",
        "version",
        "17",
        "a\0b",
        "\0",
        "a\nb",
        "\u{1b}[2J",
        "\u{9b}2J",
        "\u{202e}gpj.exe",
        "a\u{2066}b",
        "a\u{200b}b",
        "\u{feff}a",
    ];
    let long = ["x".repeat(64), "x".repeat(65), "x".repeat(128), "x".repeat(129), "x".repeat(10_000)];
    plain.map(str::to_owned).into_iter().chain(long).chain([format!("x{}", "é".repeat(5_000))]).collect()
}

/// Whether a character would drive a terminal, or hide what a name is.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn one(values: &str) -> Values {
    Values::Str([values].into_iter().collect())
}

fn table(column: &str) -> Result<Schema> {
    SchemaBuilder::sequence().column(column, ColumnType::String).build()
}

/// A commit of one row `x` to a table.
fn store_row(store: &Store, key: &SeriesKey, schema: Schema, column: &str) -> Result<()> {
    let mut transaction = store.begin();
    transaction.create_series(key, schema)?;
    transaction.append(key, Batch::new(vec![MINUTE]).with(column, one("x")))?;
    transaction.commit().map(drop)
}

/// Whether the newest version shows the row in the column of this name.
fn shows(store: &Store, key: &SeriesKey, column: &str) -> bool {
    let view = store.view();
    let rows = view.read(key).columns(&[column]).rows().unwrap();
    view.keys().contains(key)
        && view.schema(key).unwrap().column(column).is_some()
        && rows.column(column).is_some_and(|found| found.values == one("x"))
}

/// The table that has nothing to do with the name in question.
fn other() -> SeriesKey {
    SeriesKey::new("OTHER", "table").unwrap()
}

/// One way to give a store a name: how it is stored, and whether it is there afterwards.
struct Way {
    what: &'static str,
    store: fn(&Store, &str) -> Result<()>,
    found: fn(&Store, &str) -> bool,
}

/// All of them.
const WAYS: &[Way] = &[
    Way {
        what: "instrument",
        store: |store, name| store_row(store, &SeriesKey::new(name, "table")?, table("a")?, "a"),
        found: |store, name| shows(store, &SeriesKey::new(name, "table").unwrap(), "a"),
    },
    Way {
        what: "instrument of a frame",
        store: |store, name| store_row(store, &SeriesKey::with_frame(name, Frame::Trades)?, table("a")?, "a"),
        found: |store, name| shows(store, &SeriesKey::new(name, "trades").unwrap(), "a"),
    },
    Way {
        what: "frame",
        store: |store, name| {
            let key = SeriesKey::new("FRAME", name)?;
            let unique = SchemaBuilder::unique().column("a", ColumnType::String).build()?;
            store_row(store, &key, unique, "a")
        },
        found: |store, name| shows(store, &SeriesKey::new("FRAME", name).unwrap(), "a"),
    },
    Way {
        what: "frame that was made by hand",
        store: |store, name| {
            let key = SeriesKey::with_frame("HAND", Frame::Table(name.to_owned()))?;
            store_row(store, &key, table("a")?, "a")
        },
        found: |store, name| shows(store, &SeriesKey::new("HAND", name).unwrap(), "a"),
    },
    Way {
        what: "column",
        store: |store, name| store_row(store, &SeriesKey::new("COLUMN", "t")?, table(name)?, name),
        found: |store, name| shows(store, &SeriesKey::new("COLUMN", "t").unwrap(), name),
    },
    Way {
        what: "column of a schema that was made by hand",
        store: |store, name| {
            let column = Column {
                id: 0,
                name: name.to_owned(),
                kind: ColumnType::String,
                nullable: true,
                description: String::new(),
            };
            let schema = Schema { columns: vec![column], key: KeyPolicy::Unique };
            store_row(store, &SeriesKey::new("BY_HAND", "t")?, schema, name)
        },
        found: |store, name| shows(store, &SeriesKey::new("BY_HAND", "t").unwrap(), name),
    },
    Way {
        what: "column that is added",
        store: |store, name| {
            let mut transaction = store.begin();
            transaction.add_column(&other(), name, ColumnType::I64, "")?;
            transaction.commit().map(drop)
        },
        found: |store, name| store.view().schema(&other()).unwrap().column(name).is_some(),
    },
    Way {
        what: "description",
        store: |store, name| {
            let schema = SchemaBuilder::sequence().column("a", ColumnType::String).describe(name).build()?;
            store_row(store, &SeriesKey::new("DESCRIBED", "t")?, schema, "a")
        },
        found: |store, name| {
            let schema = store.view().schema(&SeriesKey::new("DESCRIBED", "t").unwrap()).unwrap();
            schema.columns[0].description == name
        },
    },
    Way {
        what: "column of a key",
        store: |store, name| {
            let schema = SchemaBuilder::sequence().column(name, ColumnType::String).dedup(&[name]).build()?;
            store_row(store, &SeriesKey::new("KEYED", "t")?, schema, name)
        },
        found: |store, name| shows(store, &SeriesKey::new("KEYED", "t").unwrap(), name),
    },
    Way {
        what: "snapshot",
        store: |store, name| store.create_snapshot(name, None).map(drop),
        found: |store, name| {
            store.as_of(&AsOf::Snapshot(name.to_owned())).is_ok()
                && store.snapshots().iter().any(|snapshot| snapshot.name == name)
        },
    },
    Way {
        what: "source",
        store: |store, name| {
            let mut transaction = store.begin();
            transaction.source(name);
            transaction.append(&other(), Batch::new(vec![2 * MINUTE]).with("a", one("y")))?;
            transaction.commit().map(drop)
        },
        found: |store, name| {
            (0..u16::MAX).map_while(|id| store.source_name(id)).any(|known| known == cut(name, 512))
        },
    },
    Way {
        what: "message",
        store: |store, name| {
            let mut transaction = store.begin();
            transaction.message(name);
            transaction.append(&other(), Batch::new(vec![3 * MINUTE]).with("a", one("z")))?;
            transaction.commit().map(drop)
        },
        found: |store, name| store.log(9).unwrap().iter().any(|commit| commit.message == cut(name, 512)),
    },
    Way {
        what: "kind of an operation",
        store: |store, name| store.note(&Operation::begin(5, name, "")).map(drop),
        found: |store, name| store.view().operations(0..9).unwrap()[0].kind == cut(name, 4096),
    },
    Way {
        what: "target of an operation",
        store: |store, name| store.note(&Operation::begin(5, "import", name).done(6, name)).map(drop),
        found: |store, name| {
            let noted = &store.view().operations(0..9).unwrap()[0];
            noted.target == cut(name, 4096) && noted.detail == cut(name, 4096)
        },
    },
];

/// As what is cut is documented: to so many bytes, at the end of a character.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Asks for a name that is not there.
type Question = (&'static str, fn(&Store, &str) -> Result<()>);

const QUESTIONS: &[Question] = &[
    ("read", |store, name| store.view().read(&SeriesKey::new(name, "none")?).rows().map(drop)),
    ("count", |store, name| store.view().count(&SeriesKey::new("none", name)?, 0..9).map(drop)),
    ("columns", |store, name| store.view().read(&other()).columns(&[name]).rows().map(drop)),
    ("aggregate", |store, name| store.view().read(&other()).columns(&[name]).aggregate().map(drop)),
    ("visit", |store, name| {
        store.view().read(&other()).visit_column(name, |_| std::ops::ControlFlow::Continue(())).map(drop)
    }),
    ("batch", |store, name| {
        store.begin().append(&other(), Batch::new(vec![MINUTE]).with("a", one("x")).with(name, one("x")))
    }),
    ("alter column", |store, name| store.begin().alter_column(&other(), name, true, "")),
    ("drop series", |store, name| store.begin().drop_series(&SeriesKey::new(name, "none")?)),
    ("delete", |store, name| store.begin().delete_range(&SeriesKey::new("none", name)?, 0..9)),
    ("dedup column", |_, name| {
        SchemaBuilder::sequence().column("a", ColumnType::I64).dedup(&[name]).build().map(drop)
    }),
    ("optional column of bars", |_, name| tapestore::schema::bars_with(&[name]).map(drop)),
    ("as of", |store, name| store.as_of(&AsOf::Snapshot(name.to_owned())).map(drop)),
    ("snapshot of a snapshot", |store, name| {
        store.create_snapshot("new", Some(&AsOf::Snapshot(name.to_owned()))).map(drop)
    }),
    ("drop snapshot", |store, name| store.drop_snapshot(name)),
    ("rollback", |store, name| store.rollback(&AsOf::Snapshot(name.to_owned())).map(drop)),
    ("prune", |store, name| store.prune(&AsOf::Snapshot(name.to_owned())).map(drop)),
];

/// An error that says what is wrong with a name, in a line, and shows no more of the name than helps.
#[track_caller]
fn clear(what: &str, name: &str, error: &tapestore::Error) {
    let text = error.to_string();
    let known = matches!(error.kind(), ErrorClass::Usage | ErrorClass::NotFound | ErrorClass::Rejected);
    assert!(known, "{what}, {name:?}: {error:?}");
    assert!(!text.chars().any(hidden), "{what}, {name:?}: {text:?}");
    assert!((10..1_000).contains(&text.len()), "{what}, {name:?}: {} bytes: {text}", text.len());
}

/// All files of the store have names of the format, and there is nothing beside it.
#[track_caller]
fn nothing_but_the_store(place: &Path) {
    let names = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(place), ["store"]);
    let known = |name: &String| {
        ["CURRENT", "LOCK", "visible", "reserve", "leases"].contains(&name.as_str())
            || ["wal-", "segment-", "manifest-"].iter().any(|kind| {
                let number = name.strip_prefix(kind).and_then(|rest| rest.strip_suffix(".tape"));
                number.is_some_and(|number| number.len() == 12 && number.bytes().all(|b| b.is_ascii_digit()))
            })
    };
    let found = names(&place.join("store"));
    assert!(found.iter().all(known), "{found:?}");
}

/// Stores a name in a new store, and looks for it in the same process and in the next ones; whether it was stored.
fn stored_and_found(way: &Way, name: &str, storage: &Arc<dyn Storage>) -> bool {
    let store = Store::create_on(storage.clone(), options()).unwrap();
    store_row(&store, &other(), table("a").unwrap(), "a").unwrap();
    let done = (way.store)(&store, name);
    match &done {
        Ok(()) => assert!((way.found)(&store, name), "{}, {name:?}: not found", way.what),
        Err(error) => clear(way.what, name, error),
    }
    // The handle goes on, and the next process finds the same: in the log first, in segments and manifest later.
    store.create_snapshot("after", None).unwrap();
    drop(store);
    for sealed in [false, true] {
        let store = Store::open_on(storage.clone(), options()).unwrap();
        if sealed {
            store.seal().unwrap();
            store.compact().unwrap();
        }
        let found = done.is_err() || (way.found)(&store, name);
        assert!(found, "{}, {name:?}: not found after opening, sealed: {sealed}", way.what);
        assert!(shows(&store, &other(), "a") || ["source", "message"].contains(&way.what), "{name:?}");
    }
    assert_eq!(verify_storage(storage, true).unwrap().len(), 0, "{}, {name:?}", way.what);
    done.is_ok()
}

#[test]
fn any_name_is_refused_clearly_or_stored_and_found_again() {
    let (mut stored, mut refused) = (0, 0);
    for way in WAYS {
        for name in hostile() {
            let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
            let count = if stored_and_found(way, &name, &storage) { &mut stored } else { &mut refused };
            *count += 1;
        }
    }
    assert!(stored > 150 && refused > 150, "{stored} stored, {refused} refused");
}

/// What looks like a path is none: on a real disk there is nothing but the store afterwards.
#[test]
fn names_never_become_paths() {
    let place = tempfile::tempdir().unwrap();
    let names =
        ["..", "../up", "/etc/tapestore-up", "a/b", "CURRENT", "wal-000000000001.tape", "leases/x", "a\0b"];
    for way in WAYS {
        for name in names {
            let directory = place.path().join("store");
            stored_and_found(way, name, &(Arc::new(RealStorage::new(directory.clone())) as Arc<dyn Storage>));
            nothing_but_the_store(place.path());
            std::fs::remove_dir_all(&directory).unwrap();
        }
    }
    assert!(!Path::new("/etc/tapestore-up").exists());
}

#[test]
fn what_is_not_there_is_said_to_be_missing_whatever_its_name() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::create(place.path().join("store"), options()).unwrap();
    store_row(&store, &other(), table("a").unwrap(), "a").unwrap();
    for (what, ask) in QUESTIONS {
        for name in hostile() {
            let error = ask(&store, &name).expect_err(what);
            clear(what, &name, &error);
        }
    }
    assert_eq!(store.view().version(), 1, "questions change nothing");
    assert!(shows(&store, &other(), "a"));
    nothing_but_the_store(place.path());
}

/// Text that would be taken for another frame, or for none, when the store is opened again, is no frame.
#[test]
fn a_frame_is_what_its_text_is_read_as() {
    for text in ["", "1m", "1min", "trades", "quotes", "book", "7q", "a b", "a\0", "../x"] {
        let made = SeriesKey::with_frame("A", Frame::Table(text.to_owned()));
        assert!(made.is_err(), "{text:?}");
    }
    assert!(SeriesKey::with_frame("A", Frame::Table("a/../b".to_owned())).is_ok(), "a name, never a path");
}

/// What a verification says of a place where no store is.
fn verified(path: &Path) -> String {
    match verify_directory(path, true) {
        Ok(findings) => findings.iter().map(|finding| finding.detail.as_str()).collect(),
        Err(error) => error.to_string(),
    }
}

/// A path is the caller's own: it is taken as it stands, or what the operating system says against it is said.
#[test]
fn paths_of_any_kind_are_taken_as_they_stand_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let long = "x".repeat(10_000);
    let exists: [&str; 7] = ["a b", "\u{202e}a", "a\nb", "腾讯", "x/../y", "./z", "-"];
    std::fs::create_dir(place.path().join("x")).unwrap();
    for (name, fits) in exists
        .map(|name| (name, true))
        .into_iter()
        .chain(["a\0b", &long, "none/below"].map(|name| (name, false)))
    {
        let path = place.path().join(name);
        let created = Store::create(&path, options());
        assert_eq!(created.is_ok(), fits, "{name:?}: {:?}", created.as_ref().err());
        let Ok(store) = created else {
            for error in [
                Store::open(&path, options()).unwrap_err(),
                Store::open_read_only(&path, options()).unwrap_err(),
                salvage_directory(&path, place.path().join("saved")).unwrap_err(),
            ] {
                let known = matches!(error.kind(), ErrorClass::Io | ErrorClass::NotFound | ErrorClass::Usage);
                assert!(known, "{name:?}: {error:?}");
            }
            assert!(!place.path().join("saved").exists(), "{name:?}");
            assert!(!verified(&path).is_empty(), "{name:?}");
            continue;
        };
        store_row(&store, &other(), table("a").unwrap(), "a").unwrap();
        let copy = place.path().join("copy").join(name.trim_start_matches("x/../"));
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        store.backup(&copy).unwrap();
        drop(store);
        for path in [&path, &copy] {
            assert!(shows(&Store::open(path, options()).unwrap(), &other(), "a"), "{name:?}");
            assert!(shows(&Store::open_read_only(path, options()).unwrap(), &other(), "a"), "{name:?}");
            assert_eq!(verify_directory(path, true).unwrap().len(), 0, "{name:?}");
        }
        std::fs::remove_dir_all(place.path().join("copy")).unwrap();
        salvage_directory(&path, place.path().join("saved")).unwrap();
        std::fs::remove_dir_all(place.path().join("saved")).unwrap();
    }
}

/// Without any path there is no store, not that of the directory in which the process happens to be.
#[test]
fn an_empty_path_names_no_store() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::create(place.path().join("store"), options()).unwrap();
    let backed_up = store.backup("").unwrap_err();
    drop(store);
    for error in [
        backed_up,
        Store::create("", options()).expect_err("create"),
        Store::open("", options()).expect_err("open"),
        Store::open_read_only("", options()).expect_err("read"),
        salvage_directory("", place.path().join("saved")).unwrap_err(),
        salvage_directory(place.path().join("store"), "").unwrap_err(),
    ] {
        assert!(error.to_string().contains("the path is empty"), "{error}");
    }
    assert!(verified(Path::new("")).contains("the path is empty"));
}

/// Bytes that are no text are a path on Unix.
#[cfg(unix)]
#[test]
fn a_path_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(std::ffi::OsStr::from_bytes(b"a\xff\xfeb"));
    let store = Store::create(&path, options()).unwrap();
    store_row(&store, &other(), table("a").unwrap(), "a").unwrap();
    drop(store);
    assert!(shows(&Store::open(&path, options()).unwrap(), &other(), "a"));
    assert!(Store::open(place.path().join("a\u{fffd}\u{fffd}b"), options()).is_err());
}
