//! Factors as text: a small language of expressions over the columns of bars, as in Qlib.
//!
//! `Mean($close, 5) / $close - 1`: `$open`, `$high`, `$low`, `$close`, `$volume`; numbers; `+ - * /`, `> >= < <= == !=`
//! and `& |` (1 or 0); and the functions of [`FUNCTIONS`]. Windows reach back from the bar: `Ref($close, 1)` is the close
//! before, and there is no way to write the one after.
//!
//! # Invariants
//! - X1. A value depends on the last [`Expressions::reach`] bars of its run alone, to the bit.
//! - X2. A window that is not full, or holds a value that is not finite, gives NaN. (Qlib takes what part there is.)

mod evaluate;
mod parse;
mod rolling;

use std::collections::HashMap;
use std::ops::Range;

use crate::bars::Bars;
use crate::error::Result;

pub use parse::FUNCTIONS;

/// Number of a node in its program; nodes come after those that they are made of.
type Id = usize;

/// One step of a program. Numbers are kept by their bits, so that equal nodes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Node {
    Field(Field),
    Number(u64),
    Map(Map, Id),
    Join(Join, Id, Id),
    Choose(Id, Id, Id),
    Ago(Id, usize),
    Window(Window, Id, usize),
    Quantile(Id, usize, u64),
    Pair(Pair, Id, Id, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Field {
    Open,
    High,
    Low,
    Close,
    Volume,
}

/// One value into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Map {
    Negate,
    Abs,
    Sign,
    Log,
    Sqrt,
    Not,
}

/// Two values into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Join {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Greater,
    Less,
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    Unequal,
    And,
    Or,
}

/// A window of values into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Window {
    Sum,
    Mean,
    Std,
    Var,
    Max,
    Min,
    IdxMax,
    IdxMin,
    Med,
    Mad,
    Rank,
    Slope,
    Rsquare,
    Resi,
    Delta,
}

/// A window of pairs into one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pair {
    Corr,
    Cov,
}

#[derive(Clone, Debug)]
struct Output {
    name: String,
    text: String,
    id: Id,
}

/// Named expressions, computed together: what several of them share is computed once.
#[derive(Clone, Debug, Default)]
pub struct Expressions {
    nodes: Vec<Node>,
    /// Bars that each node reaches back, its own included.
    reaches: Vec<usize>,
    known: HashMap<Node, Id>,
    outputs: Vec<Output>,
}

impl Expressions {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an expression under a name.
    ///
    /// # Errors
    /// [`crate::Error::Expression`] says where it went wrong and what was expected there.
    pub fn add(&mut self, name: &str, text: &str) -> Result<&mut Self> {
        let id = parse::parse(self, text)?;
        self.outputs.push(Output { name: name.to_owned(), text: text.to_owned(), id });
        Ok(self)
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|output| &output.name[..])
    }

    /// Each name with its expression.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.outputs.iter().map(|output| (&output.name[..], &output.text[..]))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Bars that an expression looks at, the one of its value included (X1).
    pub fn reach(&self, number: usize) -> usize {
        self.reaches[self.outputs[number].id]
    }

    /// Computes all of them: a column for each, in the order of their names. As with [`crate::compute`], runs are sorted
    /// and disjoint, each computed by itself, and rows of no run get NaN.
    pub fn compute(&self, bars: &Bars<'_>, runs: &[Range<usize>]) -> Vec<Vec<f64>> {
        let mut out = vec![vec![f64::NAN; bars.len()]; self.outputs.len()];
        for rows in runs {
            self.evaluate(&bars.slice(rows.clone()), |number, column| {
                out[number][rows.clone()].copy_from_slice(column);
            });
        }
        out
    }

    /// The number of a node, which is added if there is none like it.
    fn node(&mut self, node: Node) -> Id {
        if let Some(id) = self.known.get(&node) {
            return *id;
        }
        let reach = match node {
            Node::Field(_) | Node::Number(_) => 1,
            Node::Map(_, a) => self.reaches[a],
            Node::Join(_, a, b) => self.reaches[a].max(self.reaches[b]),
            Node::Choose(a, b, c) => self.reaches[a].max(self.reaches[b]).max(self.reaches[c]),
            Node::Ago(a, n) | Node::Window(Window::Delta, a, n) => self.reaches[a] + n,
            Node::Window(_, a, n) | Node::Quantile(a, n, _) => self.reaches[a] + n - 1,
            Node::Pair(_, a, b, n) => self.reaches[a].max(self.reaches[b]) + n - 1,
        };
        let id = self.nodes.len();
        self.nodes.push(node);
        self.reaches.push(reach);
        self.known.insert(node, id);
        id
    }
}
