//! Where in a source the expressions, arms and fields are that mutants change.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Bytes of a source: from, to.
pub(crate) type Range = (usize, usize);

/// An expression of two with an operator between them.
pub(crate) struct Binary {
    pub(crate) left: Range,
    pub(crate) right: Range,
}

/// An arm of a match.
pub(crate) struct Arm {
    pub(crate) pattern_end: usize,
    pub(crate) guard: Option<Range>,
}

/// Places by the byte at which what is changed begins.
#[derive(Default)]
pub(crate) struct Places {
    /// By the operator.
    pub(crate) binaries: BTreeMap<usize, Binary>,
    /// By the operator: the whole expression, and what is behind the operator.
    pub(crate) unaries: BTreeMap<usize, (Range, Range)>,
    pub(crate) arms: BTreeMap<usize, Arm>,
    /// By the expression of the guard.
    pub(crate) guards: BTreeMap<usize, Range>,
    /// By the field: the whole structure, and the field with the comma behind it.
    pub(crate) fields: BTreeMap<usize, (Range, Range)>,
    /// What is computed by the compiler.
    constants: Vec<Range>,
    /// Bytes at which lines begin, and the text for columns in characters.
    lines: Vec<(usize, String)>,
}

fn range(span: Span) -> Range {
    let range = span.byte_range();
    (range.start, range.end)
}

/// Whether an expression names something only if it holds: what is chained with it must stay where it is.
fn has_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl Places {
    /// Finds all of a file.
    pub(crate) fn of(text: &str) -> Result<Self, String> {
        let file = syn::parse_file(text).map_err(|error| error.to_string())?;
        let mut places = Self::default();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            places.lines.push((at, line.to_owned()));
            at += line.len();
        }
        // Bytes are counted through all that was parsed before.
        places.visit_file(&file);
        Ok(places)
    }

    /// The byte at a line and a column, both from 1.
    pub(crate) fn offset(&self, (line, column): (usize, usize)) -> usize {
        let (start, text) = &self.lines[line - 1];
        start + text.char_indices().nth(column - 1).map_or(text.len(), |(at, _)| at)
    }

    /// Whether the compiler computes what stands here.
    pub(crate) fn is_constant(&self, at: usize) -> bool {
        self.constants.iter().any(|constant| (constant.0..constant.1).contains(&at))
    }

    fn constant(&mut self, item: &impl Spanned) {
        self.constants.push(range(item.span()));
    }
}

impl<'a> Visit<'a> for Places {
    fn visit_expr_binary(&mut self, binary: &'a syn::ExprBinary) {
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let (left, right) = (range(binary.left.span()), range(binary.right.span()));
            self.binaries.insert(range(binary.op.span()).0, Binary { left, right });
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'a syn::ExprUnary) {
        let at = range(unary.op.span()).0;
        self.unaries.insert(at, (range(unary.span()), range(unary.expr.span())));
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'a syn::Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| guard).filter(|guard| !has_let(guard));
        let guard = guard.map(|guard| range(guard.span()));
        if let Some(guard) = guard {
            self.guards.insert(guard.0, guard);
        }
        if guard.is_some() || arm.guard.is_none() {
            let pattern_end = range(arm.pat.span()).1;
            self.arms.insert(range(arm.span()).0, Arm { pattern_end, guard });
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, whole: &'a syn::ExprStruct) {
        for pair in whole.fields.pairs() {
            let field = range(pair.value().span());
            let end = pair.punct().map_or(field.1, |comma| range(comma.span()).1);
            self.fields.insert(field.0, (range(whole.span()), (field.0, end)));
        }
        visit::visit_expr_struct(self, whole);
    }

    fn visit_item_const(&mut self, item: &'a syn::ItemConst) {
        self.constant(item);
    }

    fn visit_item_static(&mut self, item: &'a syn::ItemStatic) {
        self.constant(item);
    }

    fn visit_impl_item_const(&mut self, item: &'a syn::ImplItemConst) {
        self.constant(item);
    }

    fn visit_trait_item_const(&mut self, item: &'a syn::TraitItemConst) {
        self.constant(item);
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        if item.sig.constness.is_some() {
            self.constant(item);
        }
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if item.sig.constness.is_some() {
            self.constant(item);
        }
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_repeat(&mut self, repeat: &'a syn::ExprRepeat) {
        self.constant(&repeat.len);
        visit::visit_expr_repeat(self, repeat);
    }

    fn visit_type_array(&mut self, array: &'a syn::TypeArray) {
        self.constant(array);
    }

    fn visit_expr_const(&mut self, block: &'a syn::ExprConst) {
        self.constant(block);
    }

    fn visit_generic_argument(&mut self, argument: &'a syn::GenericArgument) {
        if let syn::GenericArgument::Const(expression) = argument {
            self.constant(expression);
        }
        visit::visit_generic_argument(self, argument);
    }

    fn visit_variant(&mut self, variant: &'a syn::Variant) {
        if let Some((_, value)) = &variant.discriminant {
            self.constant(value);
        }
        visit::visit_variant(self, variant);
    }
}
