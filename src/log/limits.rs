//! Limits of the size of files.

use std::io;

/// Has a write beyond the limit of a file's size (`ulimit -f`) fail like any other, where it would end the process
/// (SIGXFSZ). To be called once, within a Tokio runtime.
///
/// # Errors
///
/// The signal cannot be handled.
pub fn survive_file_size_limit() -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    {
        // MIPS has another number; there, the signal goes on ending the process.
        const SIGXFSZ: i32 = 25;
        // A handler that was installed once stays: nobody has to listen.
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ)).map(drop)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
    Ok(())
}
