//! How much of a hunt is done: `TORTURE` and `TORTURE_SEED`.

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// What every run of the tests does.
    Sample,
    /// What the short form of the torture run does.
    Short,
    /// What a soak does, with each seed.
    Long,
}

impl Amount {
    /// What the environment asks for.
    pub fn asked() -> Self {
        match std::env::var("TORTURE").as_deref() {
            Ok("short") => Self::Short,
            Ok("long") => Self::Long,
            _ => Self::Sample,
        }
    }

    /// The number for this amount.
    pub fn of(self, sample: u64, short: u64, long: u64) -> u64 {
        match self {
            Self::Sample => sample,
            Self::Short => short,
            Self::Long => long,
        }
    }

    /// All, or for a sample one in so many, others with each seed.
    pub fn sampled<T>(self, all: Vec<T>, one_in: usize) -> Vec<T> {
        if self == Self::Sample {
            all.into_iter().skip(seed() as usize % one_in).step_by(one_in).collect()
        } else {
            all
        }
    }
}

/// The seed that the environment asks for, or 1.
pub fn seed() -> u64 {
    std::env::var("TORTURE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
