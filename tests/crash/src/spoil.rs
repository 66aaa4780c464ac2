//! Syncs left out or made too late, for a whole run: bugs planted without touching the engine.

use std::sync::{Arc, OnceLock};

/// A way in which the order of syncs is spoiled, as if the engine had been written so: a planted bug of `tests/torture`.
#[derive(Clone, Debug)]
pub(crate) struct Spoiler {
    /// Which syncs are left out, such as `Sync segment first` or `SyncDir after Rename CURRENT`.
    pub(crate) sync: String,
    /// The call behind which they are made up for; `None`: never.
    pub(crate) after: Option<String>,
}

impl Spoiler {
    /// What `TAPE_PLANTED` asks for: `drop:SYNC` or `late:SYNC:CALL`.
    pub(crate) fn chosen() -> Option<&'static Self> {
        static CHOSEN: OnceLock<Option<Spoiler>> = OnceLock::new();
        let read = || {
            let text = std::env::var("TAPE_PLANTED").ok()?;
            let (kind, rest) = text.split_once(':')?;
            match kind {
                "drop" => Some(Self { sync: rest.to_owned(), after: None }),
                "late" => {
                    let (sync, after) = rest.split_once(':')?;
                    Some(Self { sync: sync.to_owned(), after: Some(after.to_owned()) })
                }
                _ => None,
            }
        };
        CHOSEN.get_or_init(read).as_ref()
    }
}

/// A sync that a spoiler left out and makes up for later.
#[derive(Clone, Debug)]
pub(crate) enum Owed {
    File(u64),
    Directory(Arc<str>),
}
