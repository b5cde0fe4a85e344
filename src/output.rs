//! Standard output, for answers. Whoever reads may stop reading: `daybook replay | head` is no error.

use std::io::{self, ErrorKind, Write};

/// Writes as it is; false once nobody reads any more.
pub fn write(text: &[u8]) -> io::Result<bool> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Writes a line, if anybody still reads.
pub fn print(line: &str) -> io::Result<()> {
    write(format!("{line}\n").as_bytes()).map(drop)
}
