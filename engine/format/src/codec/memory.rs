//! What a coder remembers of the numbers before the one it codes. Rule K18 of `format-spec/codecs.md`.
//!
//! Bins are put into classes. The classes of the numbers before make up a state, and each state has a table of
//! frequencies: after large numbers large ones are frequent, after a venue the same venue.

/// Most classes that bins are put into.
pub(super) const CLASSES: usize = 16;

/// How the state follows from the classes of the numbers before, in the order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Nothing is remembered: one state.
    None,
    /// The classes of the two numbers before.
    Pair,
    /// The mean of the classes before, of which the last counts `2^-shift`; times `2^shift`. Shifts are 1 to 3.
    Mean(u32),
}

impl Memory {
    /// By their ids in the file.
    pub(super) const ALL: [Self; 5] = [Self::None, Self::Pair, Self::Mean(1), Self::Mean(2), Self::Mean(3)];

    pub(super) fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    pub(super) fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Pair => 1,
            Self::Mean(shift) => 1 + shift as u8,
        }
    }

    /// How many states there are with so many classes. The first of a lane is 0.
    pub(super) fn states(self, classes: usize) -> usize {
        match self {
            Self::None => 1,
            Self::Pair => classes * classes,
            Self::Mean(shift) => classes << shift,
        }
    }

    /// The state after a number of each class, [`CLASSES`] for each state.
    pub(super) fn moves(self, classes: usize) -> Vec<u8> {
        let mut out = vec![0; self.states(classes) * CLASSES];
        for (state, row) in out.chunks_mut(CLASSES).enumerate() {
            for (class, next) in row[..classes].iter_mut().enumerate() {
                *next = self.next(classes, state, class) as u8;
            }
        }
        out
    }

    /// The state after a number of this class.
    pub(super) fn next(self, classes: usize, state: usize, class: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Pair => state % classes * classes + class,
            Self::Mean(shift) => state + class - ((state + (1 << (shift - 1))) >> shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_stay_within_their_number() {
        for (id, memory) in Memory::ALL.into_iter().enumerate() {
            assert_eq!((memory.id(), Memory::from_id(id as u8)), (id as u8, Some(memory)));
            for classes in 1..=CLASSES {
                let states = memory.states(classes);
                assert!(states <= CLASSES * CLASSES);
                for state in 0..states {
                    for class in 0..classes {
                        assert!(memory.next(classes, state, class) < states, "{memory:?}, {state}, {class}");
                    }
                }
            }
        }
        assert_eq!(Memory::from_id(5), None);
    }

    #[test]
    fn a_pair_is_the_two_classes_before() {
        let after = |state, class| Memory::Pair.next(5, state, class);
        assert_eq!(after(after(0, 3), 4), 3 * 5 + 4);
        assert_eq!(after(after(after(0, 3), 4), 1), 4 * 5 + 1);
    }

    /// However long a class lasts, the mean comes to it and stays.
    #[test]
    fn a_mean_comes_to_what_lasts() {
        for shift in 1..=3 {
            for (from, class) in [(0, 9), (15, 9), (0, 15), (15, 0)] {
                let mut state = from << shift;
                (0..100).for_each(|_| state = Memory::Mean(shift).next(16, state, class));
                assert!(
                    (state as i64 - (class << shift) as i64).abs() <= 1 << (shift - 1),
                    "{shift}, {class}"
                );
                assert_eq!(Memory::Mean(shift).next(16, class << shift, class), class << shift);
            }
        }
    }
}
