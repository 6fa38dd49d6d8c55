//! Writing to the standard streams: all of it or an error, whatever they are. Never a panic, as `println!` and `eprintln!`
//! have it: who has closed them, or has no room, must not change what becomes of the daemon.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Writes all of it, and tells of each part that has gone. Waits where there is no room; also where the stream is
/// nonblocking, which whoever shares it may have made it.
pub fn write_all(stream: BorrowedFd<'_>, mut bytes: &[u8], mut written: impl FnMut(usize)) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stream, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                written(count);
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for_room(stream)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for_room(stream: BorrowedFd<'_>) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(stream, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes to stdout. That whoever reads it reads no further is no error: he has what he wanted.
pub(super) fn print(text: &str) -> io::Result<()> {
    enough_read(write_all(io::stdout().as_fd(), text.as_bytes(), |_| ()))
}

/// The same for what somebody else has written there.
pub(super) fn enough_read(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says something on stderr, each line with our name before it. The exit status says it as well, so nothing is lost when
/// nobody can be told.
pub(super) fn complain(what: &impl std::fmt::Display) {
    let text: String = what.to_string().lines().map(|line| format!("minbusd: {line}\n")).collect();
    let _ = write_all(io::stderr().as_fd(), text.as_bytes(), |_| ());
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::thread;

    use rustix::io::ioctl_fionbio;

    use super::*;

    #[test]
    fn all_goes_through_a_full_pipe_that_does_not_block() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        ioctl_fionbio(&writer, true).expect("it can be nonblocking");
        let text: Vec<u8> = (0..1_000_000_u32).map(|at| at as u8).collect();
        let expected = text.clone();
        let writing = thread::spawn(move || {
            let mut count = 0;
            write_all(writer.as_fd(), &text, |part| count += part).expect("written");
            count
        });
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).expect("read");
        assert!(heard == expected);
        assert_eq!(writing.join().expect("no panic"), heard.len());
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let full = File::options().write(true).open("/dev/full").expect("it is always there");
        let error = write_all(full.as_fd(), b"text", |_| ()).expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let error = write_all(writer.as_fd(), b"text", |_| ()).expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(enough_read(Err(error)).is_ok());
    }
}
