//! The allocator of the binary, and what it is asked beside memory. It is a crate of its own because that takes `unsafe`, which the others
//! forbid.

pub use mimalloc::MiMalloc;

/// Gives back to the operating system what this thread has let go of. The allocator does so by itself only while it is asked for memory: a
/// service that has loaded its store and then waits for requests would keep what loading took, for as long as it waits.
///
/// It takes milliseconds. Where the allocator of the program is another one, it does nothing.
pub fn give_back() {
    // SAFETY: it takes no pointer, and any thread may call it at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
