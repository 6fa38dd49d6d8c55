//! `minbus-load self-test`: is the generator fast enough to measure a relay, rather than itself?
//!
//! It produces and checks 64-byte messages without a relay: through memory alone, and from one thread to another through
//! a socket pair, beside which plain reads and writes of the same bytes show what the kernel allows.

use std::fmt::{self, Display};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::address::enlarge_send_buffer;
use crate::error::{Error, UsageError};
use crate::report::text;
use crate::run::memory::Loop;
use crate::run::{Context, StepOutcome, bind, direct, run_step};
use crate::scenario::settings::Settings;
use crate::scenario::{Kind, Phase};

/// Bytes of a message on the wire: the payload and a head of three bytes.
const MESSAGE_BYTES: usize = 64 + 3;

/// Bytes of one write or read of the floor, as in a send of the generator.
const FLOOR_BYTES: usize = 64 << 10;

/// How many times as fast as the relay the generator is to be.
const FACTOR: f64 = 3.0;

/// What was found, in messages a second.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SelfTest {
    /// Produced and checked by one thread, through memory.
    pub(crate) memory_per_s: f64,
    /// Produced by one thread and checked by another, through a socket pair.
    pub(crate) socket_per_s: f64,
    /// The same bytes through a socket pair by plain writes and reads.
    pub(crate) floor_per_s: f64,
    /// Through the relay.
    pub(crate) relay_per_s: f64,
    /// How much of its time the generator was busy then.
    pub(crate) generator_share: f64,
    pub(crate) relay_share: f64,
    pub(crate) verified: bool,
}

/// The phase that all of it is about.
pub(crate) fn phase(duration_s: f64) -> Result<Phase, UsageError> {
    Settings { scenario: Some(Kind::Flood), duration_s: Some(duration_s), ..Settings::default() }.check()
}

/// Measures all of it. The context is that of an embedded relay; `cpus` are where two threads may run.
pub(crate) fn run(context: &Context<'_>, phase: &Phase, cpus: [Option<usize>; 2]) -> Result<SelfTest, Error> {
    let step = phase.first_steps().remove(0);
    let relay = run_step(context, phase, &step);
    let alone = Context { bus: context.bus, relay_pid: None, cpus: cpus.into(), steps: 1000.into(), ..*context };
    let socket = direct(&alone, phase, &step)?;
    let memory_per_s = Loop::new(phase).run(phase.duration);
    let floor_per_s = floor(phase.duration, cpus).map_err(Error::Direct)? / MESSAGE_BYTES as f64;
    let share = |ns: u64, outcome: &StepOutcome| ns as f64 / 1e9 / outcome.elapsed.as_secs_f64().max(1e-9);
    Ok(SelfTest {
        memory_per_s,
        socket_per_s: socket.messages_per_s(),
        floor_per_s,
        relay_per_s: relay.messages_per_s(),
        generator_share: share(relay.generator_cpu.used_ns, &relay),
        relay_share: share(relay.relay_cpu.unwrap_or_default().used_ns, &relay),
        verified: relay.is_clean() && socket.is_clean() && memory_per_s > 0.0,
    })
}

/// Bytes a second of plain writes on one thread and reads on another.
fn floor(duration: Duration, cpus: [Option<usize>; 2]) -> std::io::Result<f64> {
    let (mut writer, mut reader) = UnixStream::pair()?;
    enlarge_send_buffer(&writer)?;
    thread::scope(|scope| {
        let writing = scope.spawn(move || {
            bind(cpus[0]);
            let bytes = vec![1; FLOOR_BYTES];
            let begun = Instant::now();
            while begun.elapsed() < duration {
                writer.write_all(&bytes)?;
            }
            writer.shutdown(std::net::Shutdown::Write)
        });
        // A socket is gone with the thread that has it, which ends the other one.
        let reading = scope.spawn(move || {
            bind(cpus[1]);
            let mut bytes = vec![0; FLOOR_BYTES];
            let (begun, mut sum) = (Instant::now(), 0);
            loop {
                match reader.read(&mut bytes)? {
                    0 => return Ok(sum as f64 / begun.elapsed().as_secs_f64()),
                    len => sum += len,
                }
            }
        });
        writing.join().expect("it does not panic")?;
        reading.join().expect("it does not panic")
    })
}

impl Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relay = self.relay_per_s;
        writeln!(f, "64 B one way, produced and with each byte checked        messages/s    of the relay's")?;
        let mut line =
            |what: &str, per_s: f64| writeln!(f, "{what:54} {:>12} {:>10.2} x", text::count(per_s), per_s / relay);
        line("through the relay, generator on one CPU", relay)?;
        line("generator alone, one thread, through memory", self.memory_per_s)?;
        line("generator alone, two threads, through a socket pair", self.socket_per_s)?;
        line("plain writes and reads of the same bytes, so", self.floor_per_s)?;
        let (generator, relay_share) = (self.generator_share * 100.0, self.relay_share * 100.0);
        writeln!(
            f,
            "\nthrough the relay its thread was busy for {relay_share:.0} % of the time, the generator's for {generator:.0} %"
        )?;
        let (memory, socket) = (self.memory_per_s / relay, self.socket_per_s / relay);
        if socket >= FACTOR {
            writeln!(f, "the generator is {socket:.1} times as fast as the relay, sockets included")?;
        } else {
            let of_floor = self.socket_per_s / self.floor_per_s * 100.0;
            writeln!(
                f,
                "the generator itself is {memory:.1} times as fast as the relay; through sockets it is {socket:.1} times, \
                 bound by the kernel's copies: {of_floor:.0} % of what plain writes and reads reach"
            )?;
        }
        f.write_str(if self.verified { "" } else { "NOT VERIFIED\n" })
    }
}
