//! Integer blocks written by hand: every packing, transform and form at every width and edge, also where an encoder would choose
//! another. What is decoded in 32 bits is so beside the decoder, by the same cases.

mod support;

use std::collections::BTreeSet;

use support::blocks::{
    BASES, CLASSES, CONSTANT, COUNTS, Case, DELTA, DICTIONARY, EDGES, Form, PACKED, PATCHED, PLAIN, RAW,
    RUNS, SPARSE, TRANSFORMS, Written, bits, cases, has_offsets,
};
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::int::{IntScratch, decode, packing_of};
use tapestore_format::codec::kernel::Kernels;

/// A packing, its transform, and where it has offsets zigzag, multiplier and base.
type Way = (u8, u8, Option<(bool, bool, i64)>);

/// What was met of what the format allows.
#[derive(Default)]
struct Met {
    /// Ways and widths of blocks without others inside.
    forms: BTreeSet<(Way, u32)>,
    /// The same of blocks inside of others, behind packing and transform of these.
    inner: BTreeSet<(u8, u8, Way, u32)>,
    /// Packing, width, count and edge.
    shapes: BTreeSet<(u8, u32, usize, u8)>,
    /// Low and high bits of patched offsets, and bits of their positions.
    cuts: BTreeSet<(u32, u32)>,
    positions: BTreeSet<u32>,
    /// Classes and their widths.
    classes: BTreeSet<(usize, u32)>,
    /// Widths of codes.
    codes: BTreeSet<u32>,
    /// Ways of the lengths of runs.
    lengths: BTreeSet<Way>,
}

impl Met {
    fn count(&mut self, case: &Case, head: u8, written: &Written) {
        let way = |packing: u8, transform: u8, form: &Form| -> Way {
            let offsets = (form.zigzag, form.multiplier.is_some(), form.base);
            (packing, transform, has_offsets(packing).then_some(offsets))
        };
        let Case { packing, form, width, .. } = case;
        let transform = head >> 3 & 3;
        match &case.inner {
            None => drop(self.forms.insert((way(head & 7, transform, form), *width))),
            Some((inner, form)) => {
                self.inner.insert((*packing, transform, way(*inner, form.transform, form), *width));
            }
        }
        self.shapes.insert((*packing, *width, case.count, case.edge));
        self.cuts.extend(written.cut);
        self.positions.extend(written.cut.map(|_| bits(case.count as u64 - 1)));
        self.classes.extend(&written.classes);
        self.codes.extend(written.codes);
        self.lengths.extend(written.lengths.map(|(packing, form)| way(packing, form.transform, &form)));
    }
}

#[test]
fn every_packing_in_every_form_is_read_as_it_is_specified() {
    let mut met = Met::default();
    let mut tables: Vec<IntScratch> = Kernels::all().map(IntScratch::with).collect();
    let names: Vec<&str> = Kernels::all().map(|kernels| kernels.name).collect();
    let mut found = vec![0; 1024];
    cases(|case, written| {
        let head = written.bytes[0];
        for (scratch, name) in tables.iter_mut().zip(&names) {
            let found = &mut found[..case.count];
            found.fill(0x5555);
            let mut reader = ByteReader::new(&written.bytes, "K1");
            let told = decode(&mut reader, found, scratch, None);
            let transform = told.unwrap_or_else(|error| panic!("{name}: {case:?}: {error}"));
            reader.finish().unwrap_or_else(|error| panic!("{name}: {case:?}: {error}"));
            assert_eq!((packing_of(head) as u8, transform as u8), (case.packing, case.form.transform));
            assert!(found == written.values, "{name}: {case:?}");
        }
        if !case.near {
            met.count(case, head, &written);
        }
    });
    let (offsets, bases) = ([PACKED, PATCHED, CLASSES].len(), BASES.len());
    let (transforms, widths) = (usize::from(TRANSFORMS), 65);
    let forms = 2 * 2 * bases;
    assert_eq!(met.forms.len(), transforms * widths * (offsets * forms + [CONSTANT, RAW].len()));
    let inner = [PLAIN, DELTA].len() * ([PACKED, PATCHED].len() * forms + [CONSTANT, RAW].len());
    assert_eq!(met.inner.len(), [RUNS, DICTIONARY, SPARSE].len() * transforms * widths * inner);
    assert_eq!(met.shapes.len(), 8 * widths * COUNTS.len() * usize::from(EDGES));
    // Up to 63 low bits, and with these up to 64.
    assert_eq!(met.cuts.len(), (0..=63).map(|low| 65 - low).sum());
    assert_eq!(met.classes.len(), 4 * widths);
    assert!(met.positions.iter().chain(&met.codes).copied().eq((0..=10).chain(0..=10)));
    assert_eq!(met.lengths.len(), inner);
}
