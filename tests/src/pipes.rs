//! Pipes as a program may be given them.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::ioctl_fionbio;

/// A pipe that takes nothing before somebody reads, and how many bytes are in it. Its writer does not block, as if it were
/// shared with somebody who wants that.
///
/// # Panics
/// When there is no pipe to be had.
pub fn full() -> (PipeReader, PipeWriter, usize) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    ioctl_fionbio(&writer, true).expect("a pipe can be non-blocking");
    let mut filled = 0;
    // Less and less at a time, so that not a byte finds room.
    for size in [4096, 1] {
        while let Ok(count) = writer.write(&[b'.'; 4096][..size]) {
            filled += count;
        }
    }
    (reader, writer, filled)
}

/// What a program writes to a standard output that is full and does not block when it begins.
///
/// # Panics
/// When it does not start, or does not end well.
pub fn said_to_a_full_one(mut command: Command) -> Vec<u8> {
    let (mut reader, writer, filled) = full();
    let mut child = command.stdout(writer).stderr(Stdio::inherit()).spawn().expect("it starts");
    // It has the other copy of the writer.
    drop(command);
    // It has found no room by now, or finds it at once.
    sleep(Duration::from_millis(50));
    let mut said = Vec::new();
    reader.read_to_end(&mut said).expect("a pipe can be read");
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "{status}");
    said.split_off(filled)
}
