//! One macro for all targets: the oracle of tape-fuzz, and its mutator beside that of libFuzzer.

pub use libfuzzer_sys;
pub use tape_fuzz;

use tape_fuzz::Target;
use tape_fuzz::random::Random;

/// The target of this name.
///
/// # Panics
/// If there is none.
pub fn target(name: &str) -> &'static Target {
    Target::find(name).unwrap_or_else(|| panic!("tape-fuzz has a target {name}"))
}

/// Changes the first `size` bytes of `data`, by libFuzzer's mutator or by that of the target, and mends checksums;
/// gives the new size, at most `most`.
pub fn mutate(target: &Target, data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed));
    let most = most.min(target.longest).min(data.len());
    let mut bytes = if random.chance(2) {
        let size = libfuzzer_sys::fuzzer_mutate(data, size.min(most), most);
        let mut bytes = data[..size].to_vec();
        (target.mend)(&mut bytes);
        bytes
    } else {
        let mut bytes = data[..size.min(most)].to_vec();
        let other = bytes.clone();
        target.mutate(&mut random, &mut bytes, &other);
        bytes
    };
    bytes.truncate(most);
    data[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
}

/// A fuzz target: the oracle of this name, and its mutator.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let _ = $crate::target($name).run(data);
        });

        $crate::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutate($crate::target($name), data, size, max_size, seed)
        });
    };
}
