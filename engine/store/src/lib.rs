//! Tapestore: an embedded storage engine for market data.
//!
//! One directory, one library, no server. A store holds *series*, each an instrument and a frame (`BTCUSDT.BINANCE 1m`);
//! every commit is a version that stays readable; gaps are answered from an index.
//!
//! - Times are `i64` nanoseconds since the Unix epoch, UTC; a bar carries its open time; ranges are half-open.
//! - Prices and volumes are stored as the source states them and come back bit for bit.
//! - A commit is atomic over any number of series and durable when it returns, unless asked otherwise.
//! - One process writes; any number of processes read beside it ([`Store::open_read_only`], [`Store::refresh`]).
//!
//! ```
//! use tapestore::{AsOf, Batch, Options, SeriesKey, Store, Values, schema};
//!
//! let directory = std::env::temp_dir().join(format!("tapestore-doc-{}", std::process::id()));
//! let store = Store::create(&directory, Options::default())?;
//! let key = SeriesKey::new("BTCUSDT.BINANCE", "1m")?;
//!
//! const MINUTE: i64 = 60_000_000_000;
//! let mut transaction = store.begin();
//! transaction.source("example").create_series(&key, schema::bars())?;
//! let bars = Batch::new(vec![0, MINUTE, 3 * MINUTE])
//!     .with("open", Values::F64(vec![100.0, 101.0, 102.5]))
//!     .with("high", Values::F64(vec![101.5, 101.0, 103.0]))
//!     .with("low", Values::F64(vec![99.5, 100.5, 102.5]))
//!     .with("close", Values::F64(vec![101.0, 100.5, 103.0]))
//!     .with("volume", Values::F64(vec![12.5, 3.25, 7.0]));
//! transaction.upsert(&key, bars)?;
//! let first = transaction.commit()?;
//! assert_eq!((first.version, first.added), (1, 3));
//!
//! let mut correction = store.begin();
//! correction.delete_range(&key, 0..MINUTE)?;
//! correction.commit()?;
//!
//! let view = store.view();
//! assert_eq!(view.read(&key).columns(&["close"]).rows()?.f64("close"), Some(&[100.5, 103.0][..]));
//! assert_eq!(view.completeness(&key, None)?.missing, 1); // from counts, however many gaps there are
//! assert_eq!(view.gaps(&key, None)?[0].start, 2 * MINUTE);
//! let before = store.as_of(&AsOf::Version(1))?;
//! assert_eq!(before.count(&key, i64::MIN..i64::MAX)?, 3);
//! # drop((view, before));
//! # store.close()?;
//! # std::fs::remove_dir_all(directory).unwrap();
//! # Ok::<(), tapestore::Error>(())
//! ```
//!
//! # Map
//!
//! What is written: [`Batch`] and [`Transaction`], staged (`stage`), applied to the state (`apply`), logged and synced
//! in groups (`commit`, `wal`). What is read: [`View`] and [`Read`], through `scan` over layers (`layer`, `overlay`),
//! and the gap index (`gaps`), statistics (`aggregate`, `statistics`), what changed since a version (`changes`), the
//! last rows (`latest`), and what was done to the store (`operations`). What runs behind: `seal` (memory to segments),
//! `compact` and `slice` (segments to segments), `maintenance` (the manifest, file ids, garbage). How it begins: `open`, `follow`
//! (other processes), `lease`. What a full disk leaves room for: `reserve`. Who is told of commits as they become
//! visible: [`live`]. What is left of a damaged store: `verify` names it, `salvage` saves it. All input and output goes
//! through [`io::Storage`], all locks and threads through `sync`, where model checkers take their place. The format of
//! the files is the crate `tapestore-format`, specified in `format-spec/`.

mod aggregate;
mod apply;
mod backup;
mod batch;
mod cache;
mod changes;
mod column;
mod commit;
mod compact;
mod compare;
mod error;
mod follow;
mod frames;
mod gaps;
pub mod io;
mod key;
mod latest;
mod layer;
mod lease;
pub mod live;
mod maintenance;
mod manifest;
mod open;
mod operations;
mod options;
mod overlay;
mod read;
mod report;
mod reserve;
mod rollback;
mod salvage;
mod scan;
pub mod schema;
mod seal;
mod segment;
mod shown;
mod slice;
mod stage;
mod state;
mod statistics;
mod store;
mod sync;
mod transaction;
mod verify;
mod view;
mod wal;
mod worker;

pub use aggregate::Aggregate;
pub use backup::BackupReport;
pub use batch::{Batch, Rows};
pub use column::{Slice, VisitReport};
pub use compact::CompactReport;
pub use error::{Error, ErrorClass, Result};
pub use gaps::{Completeness, Gap};
pub use key::{OWN_INSTRUMENT, SeriesKey};
pub use latest::Latest;
pub use operations::{Operation, Outcome};
pub use options::{Durability, Options, Retention};
pub use read::{Cursor, CursorPlace, Read};
pub use report::{AsOf, CommitInfo, PruneReport, Snapshot, Stats};
pub use salvage::{Loss, LossKind, SalvageReport, salvage_directory, salvage_storage};
pub use store::Store;
#[cfg(any(loom, shuttle))]
pub use sync::{Mistake, make};
pub use tapestore_format::coverage::Run;
pub use tapestore_format::number;
pub use tapestore_format::rows::{ColumnValues, MarkKind, RowSet, RunVec, Strings, Values, flags};
pub use tapestore_format::schema::{Column, ColumnType, KeyPolicy, Schema};
pub use tapestore_format::segment::Tier;
pub use tapestore_format::time::{self, Frame, Timeframe};
pub use tapestore_format::wal::CommitKind;
pub use transaction::{CommitReport, Transaction};
pub use verify::{Finding, verify_directory, verify_storage};
pub use view::{SeriesInfo, View};
pub use wal::TornTail;
