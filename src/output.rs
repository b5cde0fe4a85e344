//! Standard output for results. The reader may close the pipe early: `daybook replay | head` is not an error.

use std::io::{self, ErrorKind, Write};

/// Writes bytes unchanged; returns false once the pipe is closed.
pub fn write(text: &[u8]) -> io::Result<bool> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Writes a line, unless the pipe is closed.
pub fn print(line: &str) -> io::Result<()> {
    write(format!("{line}\n").as_bytes()).map(drop)
}
