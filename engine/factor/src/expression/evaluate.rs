//! A program over the bars of one run: column by column, what is shared once, and each column dropped after its last use.

use super::rolling;
use super::{Expressions, Field, Id, Join, Map, Node};
use crate::bars::Bars;

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn map(map: Map, x: f64) -> f64 {
    match map {
        Map::Negate => -x,
        Map::Abs => x.abs(),
        Map::Sign if x == 0.0 => 0.0,
        Map::Sign => x.signum(),
        Map::Log => x.ln(),
        Map::Sqrt => x.sqrt(),
        Map::Not => truth(x == 0.0),
    }
}

/// Comparisons with NaN are NaN, not false: that nothing is known is not an answer.
fn join(join: Join, x: f64, y: f64) -> f64 {
    let known = |holds: bool| if x.is_nan() || y.is_nan() { f64::NAN } else { truth(holds) };
    match join {
        Join::Add => x + y,
        Join::Subtract => x - y,
        Join::Multiply => x * y,
        Join::Divide => x / y,
        Join::Power => x.powf(y),
        Join::Greater | Join::Less if x.is_nan() || y.is_nan() => f64::NAN,
        Join::Greater => x.max(y),
        Join::Less => x.min(y),
        Join::Above => known(x > y),
        Join::AtLeast => known(x >= y),
        Join::Below => known(x < y),
        Join::AtMost => known(x <= y),
        Join::Equal => known(x == y),
        Join::Unequal => known(x != y),
        Join::And => known(x != 0.0 && y != 0.0),
        Join::Or => known(x != 0.0 || y != 0.0),
    }
}

fn choose(condition: f64, x: f64, y: f64) -> f64 {
    if condition.is_nan() {
        condition
    } else if condition != 0.0 {
        x
    } else {
        y
    }
}

fn operands(node: Node) -> [Option<Id>; 3] {
    match node {
        Node::Field(_) | Node::Number(_) => [None; 3],
        Node::Map(_, a) | Node::Ago(a, _) | Node::Window(_, a, _) | Node::Quantile(a, ..) => {
            [Some(a), None, None]
        }
        Node::Join(_, a, b) | Node::Pair(_, a, b, _) => [Some(a), Some(b), None],
        Node::Choose(a, b, c) => [Some(a), Some(b), Some(c)],
    }
}

impl Expressions {
    /// Shows the column of each output, by its number.
    pub(super) fn evaluate(&self, run: &Bars<'_>, mut show: impl FnMut(usize, &[f64])) {
        let mut last_use: Vec<Id> = (0..self.nodes.len()).collect();
        for (id, node) in self.nodes.iter().enumerate() {
            operands(*node).into_iter().flatten().for_each(|operand| last_use[operand] = id);
        }
        let mut columns: Vec<Option<Vec<f64>>> = vec![None; self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate() {
            let column = compute(*node, run, &columns);
            for (number, _) in self.outputs.iter().enumerate().filter(|(_, output)| output.id == id) {
                show(number, &column);
            }
            columns[id] = Some(column);
            for done in
                operands(*node).into_iter().flatten().chain([id]).filter(|operand| last_use[*operand] == id)
            {
                columns[done] = None;
            }
        }
    }
}

fn compute(node: Node, run: &Bars<'_>, columns: &[Option<Vec<f64>>]) -> Vec<f64> {
    let column =
        |id: Id| columns[id].as_deref().expect("operands come before, and stay until their last use");
    match node {
        Node::Field(field) => {
            let values = match field {
                Field::Open => run.open,
                Field::High => run.high,
                Field::Low => run.low,
                Field::Close => run.close,
                Field::Volume => run.volume,
            };
            values.to_vec()
        }
        Node::Number(bits) => vec![f64::from_bits(bits); run.len()],
        Node::Map(kind, a) => column(a).iter().map(|x| map(kind, *x)).collect(),
        Node::Join(kind, a, b) => column(a).iter().zip(column(b)).map(|(x, y)| join(kind, *x, *y)).collect(),
        Node::Choose(c, a, b) => {
            let values = column(c).iter().zip(column(a)).zip(column(b));
            values.map(|((condition, x), y)| choose(*condition, *x, *y)).collect()
        }
        Node::Ago(a, n) => {
            let values = column(a);
            let known = values.len().saturating_sub(n);
            let mut out = vec![f64::NAN; values.len() - known];
            out.extend_from_slice(&values[..known]);
            out
        }
        Node::Window(window, a, n) => rolling::window(window, column(a), n),
        Node::Quantile(a, n, share) => rolling::quantile(column(a), n, f64::from_bits(share)),
        Node::Pair(pair, a, b, n) => rolling::pair(pair, column(a), column(b), n),
    }
}
