//! What a reader of the log gets: all lines in order, and how many are missing where some are.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use tracing::info;

use super::super::Push;
use super::super::limiter::Limit;
use super::super::queue::Patience;
use super::*;
use limits::{LOG_BURST_LINES, LOG_LINES_WAITING_MAX};

/// More than any of these tests needs.
const PATIENCE: Patience = Patience { stall: Duration::from_secs(20), total: Duration::from_secs(20) };

fn writing_to(stream: impl Into<OwnedFd>, format: LogFormat) -> Writer<OwnedFd> {
    let queue = Arc::new(Queue::default());
    let limiter = Arc::new(Limiter::new(queue.clone()));
    Writer::new(stream.into(), queue, limiter, Teller::new(format, false))
}

/// A log to `stream`, and where lines go in.
struct Logs {
    dispatch: Dispatch,
    queue: Arc<Queue>,
    writer: thread::JoinHandle<()>,
}

impl Logs {
    fn to(stream: impl Into<OwnedFd>, format: LogFormat) -> Self {
        let writer = writing_to(stream, format);
        let (queue, limiter) = (writer.queue.clone(), writer.limiter.clone());
        let writer = thread::spawn(move || writer.run());
        let registry = registry().with(lines(format, false, Push(queue.clone()))).with(Limit(limiter));
        Self { dispatch: Dispatch::new(registry), queue, writer }
    }

    fn say(&self, say: impl FnOnce()) {
        with_default(&self.dispatch, say);
    }

    fn end(self) {
        self.queue.close(PATIENCE);
        self.writer.join().expect("no panic");
    }
}

fn text(mut reader: PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    text
}

/// The number behind ` name=`.
fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!(" {name}="))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[test]
fn all_that_a_stalled_reader_misses_is_counted_in_its_place() {
    const LINES: u64 = LOG_LINES_WAITING_MAX as u64 + 5_000;
    let (reader, writer) = io::pipe().expect("a pipe");
    let logs = Logs::to(writer, LogFormat::Human);
    logs.say(|| (0..LINES).for_each(|number| tracing::debug!(number, "line")));
    let (begun, rest) = (thread::spawn(move || text(reader)), logs);
    // The reader is back: what comes now finds its room, behind what is said of the gap.
    while rest.queue.is_full() {
        thread::sleep(Duration::from_millis(1));
    }
    rest.say(|| tracing::debug!(number = LINES, "line"));
    rest.end();
    let text = begun.join().expect("no panic");
    let mut expected = 0;
    for line in text.lines() {
        if let Some(lost) = number(line, "lost") {
            assert!(line.contains(&format!("{lost} log lines were lost: stderr was not read")), "{line}");
            expected += lost;
        } else {
            assert_eq!(number(line, "number"), Some(expected), "{line}");
            expected += 1;
        }
    }
    assert_eq!(expected, LINES + 1);
    assert!(text.contains("were lost"), "nothing was lost, and this shows nothing");
}

#[test]
fn what_is_left_out_is_told_in_the_format_of_the_log() {
    const LINES: u64 = 400;
    let say = || (0..LINES).for_each(|number| info!(kind = "knocks", number, "refused"));
    for format in [LogFormat::Human, LogFormat::Json] {
        let (reader, writer) = io::pipe().expect("a pipe");
        let logs = Logs::to(writer, format);
        logs.say(say);
        let mut reader = BufReader::new(reader);
        // Not only at the end: by itself, after a while.
        let (mut lines, mut left_out) = (0, 0);
        while lines + left_out < LINES {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            assert!(line.contains("knocks") && line.contains("refused"), "{line}");
            let json = line.split_once("\"left_out\":").map(|(_, rest)| rest.split(',').next().map(str::parse));
            match number(&line, "left_out").or(json.flatten().and_then(Result::ok)) {
                Some(count) => left_out += count,
                None => lines += 1,
            }
        }
        assert_eq!(lines + left_out, LINES);
        assert!(lines >= LOG_BURST_LINES && left_out > 0, "{lines} and {left_out}");
        logs.end();
    }
}

#[test]
fn a_stream_that_takes_nothing_for_a_while_is_told_of_when_it_does() {
    // A file that may not grow beyond what it has room for.
    let (reader, writer) = io::pipe().expect("a pipe");
    let full = File::options().write(true).open("/dev/full").expect("it is always there");
    let mut logs = writing_to(full, LogFormat::Human);
    (0..3).for_each(|_| logs.write(b"lost\n"));
    logs.stream = writer.into();
    logs.torn = true;
    logs.write(b"written\n");
    drop(logs);
    let text = text(reader);
    let [end, told, line] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!((end, line), ("", "written"));
    assert!(told.contains("3 log lines were lost: stderr did not take them: No space left"), "{told}");
}
