//! Verification of a whole segment.

use super::{Scratch, Segment, Stream, System};
use crate::error::FormatError;
use crate::rows::RowSet;

pub(super) fn verify(segment: &Segment<'_>, deep: bool, report: &mut dyn FnMut(FormatError)) {
    let mut scratch = Scratch::default();
    for ordinal in 0..segment.part_count() {
        let part = match segment.part(ordinal) {
            Ok(part) => part,
            Err(error) => {
                report(error);
                continue;
            }
        };
        for stream in [Stream::Live, Stream::History] {
            for number in 0..part.chunks(stream).len() {
                let chunk = match segment.chunk(&part, stream, number) {
                    Ok(chunk) => chunk,
                    Err(error) => {
                        report(error);
                        continue;
                    }
                };
                if deep {
                    let mut rows = RowSet::with_columns(&part.columns);
                    if let Err(error) =
                        chunk.read(&part, 0..chunk.rows(), System::ALL, &mut rows, &mut scratch)
                    {
                        report(error);
                    }
                }
            }
        }
    }
}
