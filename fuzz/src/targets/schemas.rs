//! Schema files.

use tapestore_catalog::Declarations;
use tapestore_catalog::file::{Language, parse, to_toml, to_yaml};

use crate::corpus::own;
use crate::{Outcome, Target};

/// A byte that says in which language, then the file.
pub(super) const SCHEMA: Target = Target {
    name: "schema",
    smoke: 100_000,
    longest: 1500,
    fixed: false,
    // A table of a kind names all columns of the kind, and is written and read twice; a book of fixed depth has a thousand.
    bound: |length| 16 * (1 << 20) + 4000 * length,
    seeds: || {
        let files = own("schema");
        assert!(!files.is_empty(), "fuzz/corpus/schema holds seeds");
        files.iter().flat_map(|file| [0, 1].map(|language| [&[language][..], file].concat())).collect()
    },
    mend: |_| Vec::new(),
    check: schema,
};

fn read(text: &str, language: Language) -> Result<Declarations, String> {
    let mut declarations = parse("s", text, language).map_err(|error| error.to_string())?;
    declarations.tables.iter_mut().for_each(|table| table.line = 0);
    Ok(declarations)
}

fn schema(input: &[u8]) -> Outcome {
    let Some((language, file)) = input.split_first() else { return Outcome::Refused("", 0) };
    let Ok(text) = std::str::from_utf8(file) else { return Outcome::Refused("utf-8", 0) };
    let language = [Language::Toml, Language::Yaml][usize::from(language & 1)];
    let declared = match read(text, language) {
        Ok(declared) => declared,
        Err(message) => {
            assert!(message.starts_with("s, line "), "a mistake has a place: {message}");
            let words = message.bytes().filter(u8::is_ascii_lowercase).take(200);
            return Outcome::Refused("schema", words.fold(7, |sum, byte| sum * 31 % 8191 + u64::from(byte)));
        }
    };
    assert_eq!(read(&to_toml(&declared), Language::Toml).as_ref(), Ok(&declared), "TOML reads back");
    assert_eq!(read(&to_yaml(&declared), Language::Yaml).as_ref(), Ok(&declared), "YAML reads back");
    let columns = declared.tables.iter().map(|table| table.columns.len()).sum::<usize>();
    Outcome::Accepted((declared.tables.len().min(9) * 100 + columns.min(99)) as u64)
}
