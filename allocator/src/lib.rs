//! The allocator of the binary, and what it is asked beside memory. It is a crate of its own because that takes `unsafe`, which the others
//! forbid.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mimalloc;

/// mimalloc. What is aligned like everything that C's `malloc` gives is asked for like that: to ask for an alignment costs each block more.
#[derive(Debug)]
pub struct MiMalloc;

/// To this, or to their size where it is less, all blocks are aligned (C17, section 7.22.3; `MI_MAX_ALIGN_SIZE`).
const ALIGNED: usize = 16;

/// Whether every block of that size is aligned so.
fn is_aligned_anyway(size: usize, align: usize) -> bool {
    align <= ALIGNED && align <= size
}

// SAFETY: mimalloc gives blocks of at least the size that is asked for, aligned as asked for (or, without that, as `malloc` aligns them),
// and takes each of them back whichever way it was made.
unsafe impl GlobalAlloc for MiMalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size and any alignment that is a power of two may be asked for.
        let block = unsafe {
            if is_aligned_anyway(size, align) {
                mimalloc::mi_malloc(size)
            } else {
                mimalloc::mi_malloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        let block = unsafe {
            if is_aligned_anyway(size, align) {
                mimalloc::mi_zalloc(size)
            } else {
                mimalloc::mi_zalloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller gives back a block that came from here.
        unsafe { mimalloc::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller hands in a block that came from here.
        let block = unsafe {
            if is_aligned_anyway(size, align) {
                mimalloc::mi_realloc(block.cast(), size)
            } else {
                mimalloc::mi_realloc_aligned(block.cast(), size, align)
            }
        };
        block.cast()
    }
}

/// Gives back to the operating system what this thread has let go of. The allocator does so by itself only while it is asked for memory: a
/// service that has loaded its store and then waits for requests would keep what loading took, for as long as it waits.
///
/// It takes milliseconds. Where the allocator of the program is another one, it does nothing.
pub fn give_back() {
    // SAFETY: it takes no pointer, and any thread may call it at any time.
    unsafe { mimalloc::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks are aligned as asked for, zeroed where that is asked for, and keep what is in them when they grow or shrink.
    #[test]
    fn blocks_are_aligned_and_keep_what_is_in_them() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..200).chain([1000, 1024, 5000, 1 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: no size is zero, what is written lies in the blocks, and each is given back once, by its own layout.
                unsafe {
                    let zeroed = MiMalloc.alloc_zeroed(layout);
                    assert!(
                        (zeroed as usize).is_multiple_of(align) && (0..size).all(|at| *zeroed.add(at) == 0),
                        "{layout:?}"
                    );
                    let block = MiMalloc.alloc(layout);
                    assert_eq!(block as usize % align, 0, "{layout:?}");
                    block.write_bytes(7, size);
                    for other in [size * 3 + 1, size / 2 + 1] {
                        let kept = size.min(other);
                        let moved = MiMalloc.alloc(layout);
                        moved.write_bytes(7, size);
                        let moved = MiMalloc.realloc(moved, layout, other);
                        assert!(
                            (moved as usize).is_multiple_of(align) && (0..kept).all(|at| *moved.add(at) == 7),
                            "{layout:?}"
                        );
                        MiMalloc.dealloc(moved, Layout::from_size_align(other, align).unwrap());
                    }
                    MiMalloc.dealloc(block, layout);
                    MiMalloc.dealloc(zeroed, layout);
                }
            }
        }
    }
}
