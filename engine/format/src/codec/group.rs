//! Bars: what open, high, low and close tell about one another. Rule K13 of `format-spec/codecs.md`.
//!
//! All four are mantissas of one scale. Close is not predicted (differences from the close before serve it best), open
//! follows the close before, high lies at or above open and close, low at or below. Bars that break this give
//! negative residuals, nothing worse. Blocks do not look at one another: in the first row of a block the close of the
//! same row stands in for the one before.

use super::lane::Lane;

/// Which of the four a column is. Ids are frozen; a role depends only on roles before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Last price of the bar.
    Close = 0,
    /// First price.
    Open = 1,
    /// Highest price.
    High = 2,
    /// Lowest price.
    Low = 3,
}

impl Role {
    /// All roles, each after those it depends on.
    pub const ALL: [Self; 4] = [Self::Close, Self::Open, Self::High, Self::Low];

    /// The role of this frozen id.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| *role as u8 == id)
    }
}

/// Adds the predictions to residuals; `open` is not looked at for opens.
pub fn restore<N: Lane>(role: Role, close: &[N], open: &[N], numbers: &mut [N]) {
    restore_inline(role, close, open, numbers);
}

/// [`restore`], to be inlined into shims that allow more instructions.
#[expect(clippy::inline_always, reason = "inlined into the shims of kernels")]
#[inline(always)]
pub(super) fn restore_inline<N: Lane>(role: Role, close: &[N], open: &[N], numbers: &mut [N]) {
    match role {
        Role::Close => {}
        Role::Open => {
            let (Some(before), Some((first, rest))) = (close.first(), numbers.split_first_mut()) else {
                return;
            };
            *first = first.plus(*before);
            for (number, before) in rest.iter_mut().zip(close) {
                *number = number.plus(*before);
            }
        }
        Role::High => {
            for ((number, close), open) in numbers.iter_mut().zip(close).zip(open) {
                *number = number.plus(*close.max(open));
            }
        }
        Role::Low => {
            for ((number, close), open) in numbers.iter_mut().zip(close).zip(open) {
                *number = (*close.min(open)).minus(*number);
            }
        }
    }
}

/// Appends the residuals of values: the inverse of [`restore`].
pub fn residuals(role: Role, close: &[i64], open: &[i64], numbers: &[i64], out: &mut Vec<i64>) {
    let rows = numbers.iter().enumerate();
    match role {
        Role::Close => out.extend_from_slice(numbers),
        Role::Open => out.extend(rows.map(|(row, n)| n.wrapping_sub(close[row.saturating_sub(1)]))),
        Role::High => out.extend(rows.map(|(row, n)| n.wrapping_sub(close[row].max(open[row])))),
        Role::Low => out.extend(rows.map(|(row, n)| close[row].min(open[row]).wrapping_sub(*n))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_frozen_ids() {
        let found: Vec<_> = (0..6).map(Role::from_id).collect();
        let ids = [Some(Role::Close), Some(Role::Open), Some(Role::High), Some(Role::Low), None, None];
        assert_eq!(found, ids);
    }

    #[test]
    fn bars_of_any_shape_are_restored() {
        let close = [100, 105, i64::MAX, i64::MIN, 0];
        let open = [99, 100, 105, i64::MIN, i64::MAX];
        for role in Role::ALL {
            for values in [[101, 106, 110, -5, 3], [i64::MIN, i64::MAX, 0, 1, -1], [0; 5]] {
                let mut numbers = Vec::new();
                residuals(role, &close, &open, &values, &mut numbers);
                restore(role, &close, &open, &mut numbers);
                assert_eq!(numbers, values, "{role:?}");
            }
        }
    }
}
