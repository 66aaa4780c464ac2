//! What is known of rows without reading them: from the heads of chunks.

use tapestore_format::segment::{Stream, Tier};

use crate::error::Result;
use crate::key::SeriesKey;
use crate::state::Layer;
use crate::view::View;

impl View {
    /// Sealed rows of a series by tier, those of newer and older versions included. Reads the heads of chunks.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if the series does not exist at this version; damage is named.
    pub fn tiers(&self, key: &SeriesKey) -> Result<[(Tier, u64); 3]> {
        let (series, _) = self.find(key)?;
        let mut rows = Tier::ALL.map(|tier| (tier, 0));
        for part in series.layers.iter().filter_map(Layer::part) {
            let (index, segment) = (part.index()?, part.file.segment()?);
            for number in 0..index.live.len() {
                let chunk = segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
                rows[chunk.tier() as usize].1 += chunk.rows() as u64;
            }
        }
        Ok(rows)
    }
}
