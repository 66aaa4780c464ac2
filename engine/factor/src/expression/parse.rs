//! Text into nodes. Errors name the place, in characters, and what was expected there.

use super::{Expressions, Field, Id, Join, Map, Node, Pair, Window};
use crate::error::{Error, Result};

/// The longest window, and the furthest look back.
const LONGEST: usize = 10_000;
/// How deep expressions may be nested.
const DEEPEST: usize = 100;

/// The functions: how they are called, and what they give.
pub const FUNCTIONS: [(&str, &str); 32] = [
    ("Ref(x, n)", "x n bars ago"),
    ("Delta(x, n)", "x less x n bars ago"),
    ("Sum(x, n)", "sum of the last n"),
    ("Mean(x, n)", "mean of the last n"),
    ("Std(x, n)", "standard deviation of the last n, of a sample"),
    ("Var(x, n)", "variance of the last n, of a sample"),
    ("Max(x, n)", "greatest of the last n"),
    ("Min(x, n)", "least of the last n"),
    ("IdxMax(x, n)", "place of the greatest among the last n, the oldest is 1; of equal ones the first"),
    ("IdxMin(x, n)", "place of the least among the last n, likewise"),
    ("Med(x, n)", "median of the last n"),
    ("Mad(x, n)", "mean distance of the last n from their mean"),
    ("Quantile(x, n, q)", "quantile of the last n, linear between values, q from 0 to 1"),
    ("Rank(x, n)", "rank of x among the last n as a share of n, equal values in the middle"),
    ("Slope(x, n)", "slope a bar of the line fitted to the last n"),
    ("Rsquare(x, n)", "how much of the variance of the last n that line explains"),
    ("Resi(x, n)", "x less the end of that line"),
    ("Corr(x, y, n)", "correlation (Pearson) of the last n"),
    ("Cov(x, y, n)", "covariance of the last n, of a sample"),
    ("Abs(x)", "x without its sign"),
    ("Sign(x)", "1, 0 or -1"),
    ("Log(x)", "natural logarithm"),
    ("Sqrt(x)", "square root"),
    ("Not(x)", "1 if x is 0, else 0"),
    ("Power(x, y)", "x to the power of y"),
    ("Greater(x, y)", "the greater of both"),
    ("Less(x, y)", "the smaller of both"),
    ("Gt(x, y)", "1 if x > y, else 0; Ge, Lt, Le, Eq, Ne likewise"),
    ("And(x, y)", "1 if neither is 0, else 0"),
    ("Or(x, y)", "1 if one is not 0, else 0"),
    ("If(c, x, y)", "x where c is not 0, else y"),
    ("Add(x, y)", "x + y; Sub, Mul, Div likewise"),
];

/// Parses an expression into nodes of `program`; the number of its last.
pub(super) fn parse(program: &mut Expressions, text: &str) -> Result<Id> {
    let mut parser = Parser { program, text, at: 0, depth: 0 };
    let id = parser.either()?;
    parser.space();
    if parser.at < text.len() { Err(parser.fail("an operator, or the end")) } else { Ok(id) }
}

struct Parser<'a> {
    program: &'a mut Expressions,
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Takes the first of the signs that is next.
    fn sign<T: Copy>(&mut self, signs: &[(&str, T)]) -> Option<T> {
        self.space();
        let (sign, meaning) = signs.iter().find(|(sign, _)| self.rest().starts_with(sign))?;
        self.at += sign.len();
        Some(*meaning)
    }

    fn fail_at(&self, at: usize, reason: String) -> Error {
        let at = self.text[..at].chars().count();
        Error::Expression { text: self.text.to_owned(), at, reason }
    }

    fn fail(&self, expected: &str) -> Error {
        let found = match self.rest().chars().next() {
            Some(next) => format!("{next:?}"),
            None => "the end".to_owned(),
        };
        self.fail_at(self.at, format!("expected {expected}, found {found}"))
    }

    /// A chain of operands of one precedence, from the left.
    fn chain(&mut self, signs: &[(&str, Join)], operand: fn(&mut Self) -> Result<Id>) -> Result<Id> {
        let mut left = operand(self)?;
        while let Some(join) = self.sign(signs) {
            let right = operand(self)?;
            left = self.program.node(Node::Join(join, left, right));
        }
        Ok(left)
    }

    fn either(&mut self) -> Result<Id> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.fail_at(self.at, format!("nested deeper than {DEEPEST}")));
        }
        let id = self.chain(&[("|", Join::Or), ("&", Join::And)], Self::comparison);
        self.depth -= 1;
        id
    }

    fn comparison(&mut self) -> Result<Id> {
        let signs = [
            (">=", Join::AtLeast),
            ("<=", Join::AtMost),
            ("==", Join::Equal),
            ("!=", Join::Unequal),
            (">", Join::Above),
            ("<", Join::Below),
        ];
        self.chain(&signs, Self::sum)
    }

    fn sum(&mut self) -> Result<Id> {
        self.chain(&[("+", Join::Add), ("-", Join::Subtract)], Self::product)
    }

    fn product(&mut self) -> Result<Id> {
        self.chain(&[("*", Join::Multiply), ("/", Join::Divide)], Self::operand)
    }

    fn operand(&mut self) -> Result<Id> {
        self.space();
        let start = self.at;
        match self.rest().chars().next() {
            Some('-') => {
                self.at += 1;
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(self.fail_at(start, format!("nested deeper than {DEEPEST}")));
                }
                let operand = self.operand()?;
                self.depth -= 1;
                Ok(self.program.node(Node::Map(Map::Negate, operand)))
            }
            Some('(') => {
                self.at += 1;
                let inner = self.either()?;
                self.close(start)?;
                Ok(inner)
            }
            Some('$') => {
                self.at += 1;
                self.field(start)
            }
            Some(next) if next.is_ascii_digit() || next == '.' => {
                let number = self.number()?;
                Ok(self.program.node(Node::Number(number.to_bits())))
            }
            Some(next) if next.is_ascii_alphabetic() => self.call(start),
            _ => Err(self.fail("a value: $close, a number, a function or (")),
        }
    }

    fn close(&mut self, opened: usize) -> Result<()> {
        match self.sign(&[(")", ())]) {
            Some(()) => Ok(()),
            None => {
                let place = self.text[..opened].chars().count() + 1;
                Err(self.fail(&format!("an operator, or the ) of the ( at {place}")))
            }
        }
    }

    fn word(&mut self) -> String {
        let length =
            self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_owned();
        self.at += length;
        word
    }

    fn field(&mut self, start: usize) -> Result<Id> {
        let name = self.word();
        let field = match &name[..] {
            "open" => Field::Open,
            "high" => Field::High,
            "low" => Field::Low,
            "close" => Field::Close,
            "volume" => Field::Volume,
            _ => {
                let text = format!("there is no column ${name}; bars have $open $high $low $close $volume");
                return Err(self.fail_at(start, text));
            }
        };
        Ok(self.program.node(Node::Field(field)))
    }

    fn number(&mut self) -> Result<f64> {
        self.space();
        let (start, text) = (self.at, self.rest());
        let digits =
            |text: &str| text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let mut length = digits(text);
        if length > 0 && text[length..].starts_with(['e', 'E']) {
            let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
            let exponent = digits(&text[length + 1 + sign..]);
            length += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        let number = text[..length].parse().ok().filter(|number: &f64| number.is_finite());
        self.at += length;
        number.ok_or_else(|| self.fail_at(start, "expected a number".to_owned()))
    }

    /// A whole number from `least` on, as windows have.
    fn count(&mut self, least: usize) -> Result<usize> {
        self.comma()?;
        self.space();
        let start = self.at;
        if self.rest().starts_with('-') {
            let text =
                "a window reaches back, so its length is not negative: the future is not known".to_owned();
            return Err(self.fail_at(start, text));
        }
        let number = self.number()?;
        if number.fract() != 0.0 || !(least as f64..=LONGEST as f64).contains(&number) {
            return Err(self.fail_at(start, format!("expected a whole number from {least} to {LONGEST}")));
        }
        Ok(number as usize)
    }

    fn comma(&mut self) -> Result<()> {
        self.sign(&[(",", ())]).ok_or_else(|| self.fail("an operator, or a comma and a further argument"))
    }

    fn next_argument(&mut self) -> Result<Id> {
        self.comma()?;
        self.either()
    }

    fn call(&mut self, start: usize) -> Result<Id> {
        let name = self.word();
        let opened = self.at;
        if self.sign(&[("(", ())]).is_none() {
            return Err(self.fail(&format!("( after {name}; columns are written with a $")));
        }
        let Some(function) = function(&name) else {
            return Err(self.fail_at(start, unknown(&name)));
        };
        let first = self.either()?;
        let node = match function {
            Function::Map(map) => Node::Map(map, first),
            Function::Join(join) => Node::Join(join, first, self.next_argument()?),
            Function::Choose => Node::Choose(first, self.next_argument()?, self.next_argument()?),
            Function::Ago => Node::Ago(first, self.count(0)?),
            Function::Window(window, least) => Node::Window(window, first, self.count(least)?),
            Function::Pair(pair) => {
                let second = self.next_argument()?;
                Node::Pair(pair, first, second, self.count(2)?)
            }
            Function::Quantile => {
                let count = self.count(1)?;
                self.comma()?;
                self.space();
                let place = self.at;
                let share = self.number()?;
                if share > 1.0 {
                    return Err(self.fail_at(place, "expected a share from 0 to 1".to_owned()));
                }
                Node::Quantile(first, count, share.to_bits())
            }
        };
        self.close(opened)?;
        Ok(self.program.node(node))
    }
}

/// What a function needs besides its first argument.
#[derive(Clone, Copy)]
enum Function {
    Map(Map),
    Join(Join),
    Choose,
    Ago,
    /// And the shortest window that it makes sense for.
    Window(Window, usize),
    Pair(Pair),
    Quantile,
}

fn function(name: &str) -> Option<Function> {
    use Function as F;
    Some(match name {
        "Ref" => F::Ago,
        "Delta" => F::Window(Window::Delta, 0),
        "Sum" => F::Window(Window::Sum, 1),
        "Mean" => F::Window(Window::Mean, 1),
        "Std" => F::Window(Window::Std, 2),
        "Var" => F::Window(Window::Var, 2),
        "Max" => F::Window(Window::Max, 1),
        "Min" => F::Window(Window::Min, 1),
        "IdxMax" => F::Window(Window::IdxMax, 1),
        "IdxMin" => F::Window(Window::IdxMin, 1),
        "Med" => F::Window(Window::Med, 1),
        "Mad" => F::Window(Window::Mad, 1),
        "Rank" => F::Window(Window::Rank, 1),
        "Slope" => F::Window(Window::Slope, 2),
        "Rsquare" => F::Window(Window::Rsquare, 2),
        "Resi" => F::Window(Window::Resi, 2),
        "Quantile" => F::Quantile,
        "Corr" => F::Pair(Pair::Corr),
        "Cov" => F::Pair(Pair::Cov),
        "Abs" => F::Map(Map::Abs),
        "Sign" => F::Map(Map::Sign),
        "Log" => F::Map(Map::Log),
        "Sqrt" => F::Map(Map::Sqrt),
        "Not" => F::Map(Map::Not),
        "Power" => F::Join(Join::Power),
        "Greater" => F::Join(Join::Greater),
        "Less" => F::Join(Join::Less),
        "Gt" => F::Join(Join::Above),
        "Ge" => F::Join(Join::AtLeast),
        "Lt" => F::Join(Join::Below),
        "Le" => F::Join(Join::AtMost),
        "Eq" => F::Join(Join::Equal),
        "Ne" => F::Join(Join::Unequal),
        "And" => F::Join(Join::And),
        "Or" => F::Join(Join::Or),
        "If" => F::Choose,
        "Add" => F::Join(Join::Add),
        "Sub" => F::Join(Join::Subtract),
        "Mul" => F::Join(Join::Multiply),
        "Div" => F::Join(Join::Divide),
        _ => return None,
    })
}

fn unknown(name: &str) -> String {
    let stem = |text: &str| text.split('(').next().unwrap_or_default().to_ascii_lowercase();
    let wanted = name.to_ascii_lowercase();
    let near = FUNCTIONS.iter().map(|(call, _)| *call).find(|call| {
        let stem = stem(call);
        stem == wanted || (wanted.len() > 2 && (stem.starts_with(&wanted) || wanted.starts_with(&stem)))
    });
    match near {
        Some(near) => format!("there is no function {name}; did you mean {near}?"),
        None => {
            let names: Vec<&str> =
                FUNCTIONS.iter().map(|(call, _)| call.split('(').next().unwrap_or_default()).collect();
            format!("there is no function {name}; there are {}", names.join(" "))
        }
    }
}
