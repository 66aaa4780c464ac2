//! Reads that fail: a sequence of calls of their own, so that the numbers of mutating calls stay what they are.
//!
//! A map that fails later, in the middle of its bytes, ends the process (`SIGBUS`) and is not played here.

use std::io;

use crate::sim::class;

/// What a call does that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadKind {
    /// Opening a file.
    Open,
    /// One read.
    Read,
    /// Mapping a file.
    Map,
    /// Listing a directory.
    List,
    /// Asking for a length.
    Length,
    /// Taking a lock.
    Lock,
}

/// A kind of reading call on a kind of file.
pub type ReadSite = (ReadKind, &'static str);

/// What goes wrong at a reading call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadFault {
    /// `EIO` at this call only.
    Once,
    /// `EIO` at this call and at every later one of this file, as of a bad sector, until
    /// [`crate::sim::SimStorage::heal_reads`].
    Stays,
    /// `EINTR`.
    Interrupted,
    /// Half of the bytes.
    Short,
}

impl ReadFault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Once, Self::Stays, Self::Interrupted, Self::Short];

    /// Whether this can happen at such a call.
    pub fn fits(self, kind: ReadKind) -> bool {
        matches!(self, Self::Once | Self::Stays) || kind == ReadKind::Read
    }

    /// Whether whoever reads must go on as if nothing had happened.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::Interrupted | Self::Short)
    }
}

/// The reading calls since someone began to watch, and the one that is to fail.
#[derive(Debug, Default)]
pub struct Reads {
    pub(crate) sites: Vec<ReadSite>,
    fault: Option<(u64, ReadFault)>,
    /// The file at which the fault happened.
    pub(crate) hit: Option<String>,
    bad_file: Option<String>,
}

impl Reads {
    /// Counts from here; the call of this number is to fail.
    pub fn failing(fault: Option<(u64, ReadFault)>) -> Self {
        Self { fault, ..Self::default() }
    }

    /// The disk answers again.
    pub(crate) fn heal(&mut self) {
        (self.fault, self.bad_file) = (None, None);
    }

    /// Counts a call; whether it is cut short.
    pub(crate) fn begin(&mut self, kind: ReadKind, name: &str) -> io::Result<bool> {
        let eio = || Err(io::Error::other("simulated EIO of a read"));
        self.sites.push((kind, class(name)));
        if self.bad_file.as_deref() == Some(name) {
            return eio();
        }
        let number = self.sites.len() as u64;
        let Some((_, fault)) = self.fault.filter(|(call, fault)| *call == number && fault.fits(kind)) else {
            return Ok(false);
        };
        self.hit = Some(name.to_owned());
        match fault {
            ReadFault::Once => eio(),
            ReadFault::Stays => {
                self.bad_file = Some(name.to_owned());
                eio()
            }
            ReadFault::Interrupted => Err(io::ErrorKind::Interrupted.into()),
            ReadFault::Short => Ok(true),
        }
    }
}
