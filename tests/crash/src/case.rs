//! What was done and what befell it, as a line of text that does it again.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::image::Keep;
use crate::looks::Look;
use crate::reads::ReadFault;
use crate::run::Op;
use crate::sim::Fault;

/// A disk that is written beside the one of the store, or before there is a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where a store is being created; the operations do not matter.
    Creation,
    /// Where backups go.
    Backup,
    /// Where a salvage goes.
    Salvage,
}

impl Place {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Creation, "creation"), (Self::Backup, "backup"), (Self::Salvage, "salvage")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|place| place.0 == self).expect("all are listed").1
    }

    /// Every call site there: a kind of call on a kind of file. One that is missing is no longer tested; one that is new must
    /// be added.
    pub fn sites(self) -> &'static str {
        match self {
            Self::Creation => {
                "Create LOCK, Create current.new, Create manifest, Create reserve, Create visible, Create wal, \
                 Write current.new, Write manifest, Write reserve, Write visible, Write wal, Sync current.new, \
                 Sync manifest, Sync reserve, Sync wal, Rename CURRENT, SyncDir root, CreateDir leases"
            }
            Self::Backup => {
                "Create copy, Create current.new, Write copy, Write current.new, Sync copy, Sync current.new, \
                 Rename CURRENT, Rename manifest, Rename segment, Rename wal, Remove segment, Remove wal, SyncDir root, \
                 CreateDir leases"
            }
            Self::Salvage => {
                "Create LOCK, Create current.new, Create leases, Create manifest, Create segment, Create wal, \
                 Write current.new, Write manifest, Write segment, Write wal, Sync current.new, Sync manifest, \
                 Sync segment, Sync wal, Rename CURRENT, Remove leases, SyncDir root, CreateDir leases"
            }
        }
    }
}

/// What is done to a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The power fails after this mutating call; that much of what was not synced survives. Perhaps it fails again
    /// during recovery.
    Cut(u64, Keep, Option<(u64, Keep)>),
    /// This call fails.
    Fault(u64, Fault),
    /// The power fails after this mutating call on another disk.
    CutOf(Place, u64, Keep),
    /// This call on another disk fails.
    FaultOf(Place, u64, Fault),
    /// This reading call fails while that is done.
    Read(Look, u64, ReadFault),
}

/// A workload and what befalls it: everything needed to do it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Seed of the workload.
    pub seed: u64,
    /// Whether the manifest was made so long before that a step writes it anew.
    pub anew: bool,
    /// The operations.
    pub ops: Vec<Op>,
    /// What befalls them.
    pub blow: Blow,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ops: Vec<String> = self.ops.iter().map(Op::to_string).collect();
        write!(f, "seed={};{}ops={};", self.seed, if self.anew { "anew=1;" } else { "" }, ops.join(","))?;
        match self.blow {
            Blow::Cut(call, keep, None) => write!(f, "cut={call}/{keep}"),
            Blow::Cut(call, keep, Some((again, rest))) => write!(f, "cut={call}/{keep}/{again}/{rest}"),
            Blow::Fault(call, fault) => write!(f, "fault={call}/{fault:?}"),
            Blow::CutOf(place, call, keep) => write!(f, "{}={call}/{keep}", place.name()),
            Blow::FaultOf(place, call, fault) => write!(f, "{}-fault={call}/{fault:?}", place.name()),
            Blow::Read(look, call, fault) => write!(f, "read={call}/{fault:?}/{look:?}"),
        }
    }
}

/// The one of these that is written so.
fn named<T: Copy + fmt::Debug>(all: impl IntoIterator<Item = T>, text: &str) -> Result<T, String> {
    all.into_iter().find(|one| format!("{one:?}") == text).ok_or_else(|| format!("{text:?} is none of them"))
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: BTreeMap<&str, &str> =
            text.split(';').filter_map(|field| field.split_once('=')).collect();
        let field = |name: &str| fields.get(name).copied().ok_or_else(|| format!("{name} is missing"));
        let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
        let ops =
            field("ops")?.split(',').filter(|op| !op.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
        let part = |kind: &str, index: usize| {
            field(kind)?.split('/').nth(index).ok_or_else(|| format!("{kind} lacks a part"))
        };
        let call = |kind: &str| number(part(kind, 0)?);
        let fault = |text: &str| named(Fault::ALL.into_iter().chain(Fault::LIES), text);
        let mut blow = None;
        for (place, name) in Place::ALL {
            let failing = format!("{name}-fault");
            if fields.contains_key(name) {
                blow = Some(Blow::CutOf(place, call(name)?, part(name, 1)?.parse()?));
            } else if fields.contains_key(&*failing) {
                blow = Some(Blow::FaultOf(place, call(&failing)?, fault(part(&failing, 1)?)?));
            }
        }
        let blow = if let Some(blow) = blow {
            blow
        } else if fields.contains_key("fault") {
            Blow::Fault(call("fault")?, fault(part("fault", 1)?)?)
        } else if fields.contains_key("read") {
            let (fault, look) = (part("read", 1)?, part("read", 2)?);
            Blow::Read(named(Look::ALL, look)?, call("read")?, named(ReadFault::ALL, fault)?)
        } else {
            let again = match part("cut", 2) {
                Ok(call) => Some((number(call)?, part("cut", 3)?.parse()?)),
                Err(_) => None,
            };
            Blow::Cut(call("cut")?, part("cut", 1)?.parse()?, again)
        };
        Ok(Self { seed: number(field("seed")?)?, anew: fields.contains_key("anew"), ops, blow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_case_is_read_as_it_is_written() {
        let cut = Keep::Without(3);
        let mut blows = vec![Blow::Cut(4, cut, None), Blow::Cut(4, cut, Some((2, Keep::Random(9))))];
        blows.extend(Fault::ALL.into_iter().chain(Fault::LIES).map(|fault| Blow::Fault(5, fault)));
        for (place, _) in Place::ALL {
            blows.extend([Blow::CutOf(place, 6, cut), Blow::FaultOf(place, 7, Fault::Eio)]);
        }
        for look in Look::ALL {
            blows.extend(ReadFault::ALL.map(|fault| Blow::Read(look, 8, fault)));
        }
        for blow in blows {
            for ops in [vec![], vec![Op::Commit, Op::Backup]] {
                let case = Case { seed: 3, anew: ops.is_empty(), ops, blow };
                assert_eq!(case.to_string().parse(), Ok(case));
            }
        }
    }
}
