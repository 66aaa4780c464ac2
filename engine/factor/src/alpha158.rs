//! Alpha158: the factors that Qlib's handler of that name feeds to models, as [`Expressions`].
//!
//! 9 of the bar's shape, 4 of its prices, and 29 operators over windows of 5, 10, 20, 30 and 60 bars. Names and formulas
//! are those of Qlib (`qlib/contrib/data/loader.py`); its VWAP, which bars do not have, is the typical price here,
//! (high + low + close) / 3. Where Qlib takes what part of a window there is, these begin when it is full.

use crate::error::Result;
use crate::expression::Expressions;

const SHAPES: [(&str, &str); 13] = [
    ("KMID", "($close-$open)/$open"),
    ("KLEN", "($high-$low)/$open"),
    ("KMID2", "($close-$open)/($high-$low+1e-12)"),
    ("KUP", "($high-Greater($open,$close))/$open"),
    ("KUP2", "($high-Greater($open,$close))/($high-$low+1e-12)"),
    ("KLOW", "(Less($open,$close)-$low)/$open"),
    ("KLOW2", "(Less($open,$close)-$low)/($high-$low+1e-12)"),
    ("KSFT", "(2*$close-$high-$low)/$open"),
    ("KSFT2", "(2*$close-$high-$low)/($high-$low+1e-12)"),
    ("OPEN0", "$open/$close"),
    ("HIGH0", "$high/$close"),
    ("LOW0", "$low/$close"),
    ("VWAP0", "($high+$low+$close)/3/$close"),
];

/// `#` stands for the length of the window.
const WINDOWS: [(&str, &str); 29] = [
    ("ROC", "Ref($close,#)/$close"),
    ("MA", "Mean($close,#)/$close"),
    ("STD", "Std($close,#)/$close"),
    ("BETA", "Slope($close,#)/$close"),
    ("RSQR", "Rsquare($close,#)"),
    ("RESI", "Resi($close,#)/$close"),
    ("MAX", "Max($high,#)/$close"),
    ("MIN", "Min($low,#)/$close"),
    ("QTLU", "Quantile($close,#,0.8)/$close"),
    ("QTLD", "Quantile($close,#,0.2)/$close"),
    ("RANK", "Rank($close,#)"),
    ("RSV", "($close-Min($low,#))/(Max($high,#)-Min($low,#)+1e-12)"),
    ("IMAX", "IdxMax($high,#)/#"),
    ("IMIN", "IdxMin($low,#)/#"),
    ("IMXD", "(IdxMax($high,#)-IdxMin($low,#))/#"),
    ("CORR", "Corr($close,Log($volume+1),#)"),
    ("CORD", "Corr($close/Ref($close,1),Log($volume/Ref($volume,1)+1),#)"),
    ("CNTP", "Mean($close>Ref($close,1),#)"),
    ("CNTN", "Mean($close<Ref($close,1),#)"),
    ("CNTD", "Mean($close>Ref($close,1),#)-Mean($close<Ref($close,1),#)"),
    ("SUMP", "Sum(Greater($close-Ref($close,1),0),#)/(Sum(Abs($close-Ref($close,1)),#)+1e-12)"),
    ("SUMN", "Sum(Greater(Ref($close,1)-$close,0),#)/(Sum(Abs($close-Ref($close,1)),#)+1e-12)"),
    (
        "SUMD",
        "(Sum(Greater($close-Ref($close,1),0),#)-Sum(Greater(Ref($close,1)-$close,0),#))\
         /(Sum(Abs($close-Ref($close,1)),#)+1e-12)",
    ),
    ("VMA", "Mean($volume,#)/($volume+1e-12)"),
    ("VSTD", "Std($volume,#)/($volume+1e-12)"),
    (
        "WVMA",
        "Std(Abs($close/Ref($close,1)-1)*$volume,#)/(Mean(Abs($close/Ref($close,1)-1)*$volume,#)+1e-12)",
    ),
    ("VSUMP", "Sum(Greater($volume-Ref($volume,1),0),#)/(Sum(Abs($volume-Ref($volume,1)),#)+1e-12)"),
    ("VSUMN", "Sum(Greater(Ref($volume,1)-$volume,0),#)/(Sum(Abs($volume-Ref($volume,1)),#)+1e-12)"),
    (
        "VSUMD",
        "(Sum(Greater($volume-Ref($volume,1),0),#)-Sum(Greater(Ref($volume,1)-$volume,0),#))\
         /(Sum(Abs($volume-Ref($volume,1)),#)+1e-12)",
    ),
];

/// The 158 factors.
///
/// # Errors
/// None, as their expressions are sound; a test holds that.
pub fn alpha158() -> Result<Expressions> {
    let mut all = Expressions::new();
    for (name, text) in SHAPES {
        all.add(name, text)?;
    }
    for (name, text) in WINDOWS {
        for length in [5, 10, 20, 30, 60] {
            all.add(&format!("{name}{length}"), &text.replace('#', &length.to_string()))?;
        }
    }
    Ok(all)
}
