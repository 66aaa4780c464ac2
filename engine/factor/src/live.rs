//! Factors bar by bar, from a state that is kept.

use crate::bars::{Bar, Bars, Table};
use crate::catalog::{COUNT, Factor, Group, Selection};
use crate::compute::{compute, outputs};
use crate::hilbert::Hilbert;
use crate::recurrence::Recurrence;
use crate::running::{Parabola, Volume};
use crate::smooth::Smooth;
use crate::wilder::Wilder;

/// Bars that the longest window looks at.
const WINDOW: usize = 30;

/// The state of all 72 factors of one run: takes its bars one by one and gives their rows, with the same bits as
/// [`compute`] over the whole run (N3). Cloning it is how a state is saved.
#[derive(Clone, Debug)]
pub struct Live {
    selection: Selection,
    finite: Selection,
    /// The last bars: twice the window, so that they move only now and then.
    tail: [Vec<f64>; 5],
    smooth: Smooth,
    wilder: Wilder,
    stop: Parabola,
    volume: Volume,
    hilbert: Hilbert,
    row: [f64; COUNT],
    table: Table,
}

impl Live {
    /// Before the first bar of a run.
    pub fn new(selection: Selection) -> Self {
        let finite = |factor: &Factor| !factor.is_recursive();
        let finite: Vec<Factor> = selection.factors().into_iter().filter(finite).collect();
        Self {
            selection,
            finite: Selection::of(&finite),
            tail: Default::default(),
            smooth: Smooth::default(),
            wilder: Wilder::default(),
            stop: Parabola::default(),
            volume: Volume::default(),
            hilbert: Hilbert::default(),
            row: [f64::NAN; COUNT],
            table: Table::default(),
        }
    }

    /// Forgets the run: the next bar begins one.
    pub fn restart(&mut self) {
        self.tail.iter_mut().for_each(Vec::clear);
        self.smooth = Smooth::default();
        self.wilder = Wilder::default();
        self.stop = Parabola::default();
        self.volume = Volume::default();
        self.hilbert = Hilbert::default();
    }

    /// Takes the next bar and gives its row: one value for each of the 72 columns, NaN for what was not selected.
    pub fn push(&mut self, bar: &Bar) -> &[f64; COUNT] {
        self.push_window(bar);
        let mut row = [f64::NAN; COUNT];
        for factor in self.finite.factors() {
            row[factor.index()] =
                self.table.column(factor).and_then(|column| column.last().copied()).unwrap_or(f64::NAN);
        }
        self.row = row;
        let selection = self.selection;
        for group in Group::ALL.into_iter().filter(|group| selection.needs(*group)) {
            match group {
                Group::Smooth => self.put(outputs::SMOOTH, |live| live.smooth.step(bar)),
                Group::Wilder => self.put(outputs::WILDER, |live| live.wilder.step(bar)),
                Group::Stop => self.put(outputs::STOP, |live| live.stop.step(bar)),
                Group::Volume => self.put(outputs::VOLUME, |live| live.volume.step(bar)),
                Group::Hilbert => self.put(outputs::HILBERT, |live| live.hilbert.step(bar)),
                _ => {}
            }
        }
        &self.row
    }

    fn put<const N: usize>(&mut self, factors: [Factor; N], step: impl FnOnce(&mut Self) -> [f64; N]) {
        let values = step(self);
        for (factor, value) in
            factors.into_iter().zip(values).filter(|(factor, _)| self.selection.contains(*factor))
        {
            self.row[factor.index()] = value;
        }
    }

    /// The finite factors of the window that ends with `bar`.
    fn push_window(&mut self, bar: &Bar) {
        let values = [bar.open, bar.high, bar.low, bar.close, bar.volume];
        for (column, value) in self.tail.iter_mut().zip(values) {
            if column.len() == 2 * WINDOW {
                column.drain(..WINDOW);
            }
            column.push(value);
        }
        let [open, high, low, close, volume] = &self.tail;
        let from = open.len().saturating_sub(WINDOW);
        let bars = Bars { open, high, low, close, volume }.slice(from..open.len());
        compute(&bars, &[0..bars.len()], self.finite, &mut self.table);
    }
}
