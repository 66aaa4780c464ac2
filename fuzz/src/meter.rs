//! Counts the bytes that the current thread holds, so that a decoder that takes more memory than its bound is found.
//!
//! Installed as the global allocator of whoever links this crate; it hands everything on to the system's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What one execution may hold at once, whatever its target: beyond it the process ends, before the machine does.
pub const MOST_BYTES: usize = 1 << 30;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, with a count per thread.
#[derive(Debug)]
pub struct Meter;

fn took(bytes: usize) {
    // Memory may be freed on another thread than took it, so the count may wrap; a peak is taken from a fresh start.
    let held = HELD.get().wrapping_add(bytes);
    HELD.set(held);
    if held as isize > PEAK.get() as isize {
        PEAK.set(held);
        if held > MOST_BYTES && held as isize > 0 && WATCHED.get() {
            WATCHED.set(false);
            crate::driver::over_the_top(held);
        }
    }
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches thread-local cells that need no
// allocation and have no destructor.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may exist at once.
        took(size);
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: the caller's promise about `pointer`, `layout` and `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static METER: Meter = Meter;

/// Runs `work`; the most bytes that this thread held at once for it.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, usize) {
    HELD.set(0);
    PEAK.set(0);
    WATCHED.set(true);
    let out = work();
    WATCHED.set(false);
    (out, PEAK.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_what_was_held_at_once() {
        let (kept, peak) = measured(|| {
            drop(vec![1u8; 5000]);
            vec![1u8; 3000]
        });
        assert_eq!(kept.len(), 3000);
        assert!((5000..6000).contains(&peak), "{peak}");
        let ((), peak) = measured(|| {
            let kept = [vec![1u8; 3000], vec![1u8; 3000]];
            assert_eq!(kept.len(), 2);
        });
        assert!((6000..7000).contains(&peak), "{peak}");
    }
}
