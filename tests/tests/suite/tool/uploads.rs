//! Half an upload never looks like a whole one to `provide NAME -- COMMAND`: whatever breaks it off, but a signal that the tool
//! cannot catch, the processes get SIGHUP before the end of their input.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use minbus::{Address, Bus, Channel};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use tempfile::TempDir;
use tests::process::eventually;
use tokio::runtime::{self, Runtime};

use super::running::{Tool, minbus};
use super::{PATIENCE, Place, listed, wait_until};

/// Uploads under way at once: more than a runtime gets round to when it is left.
const CROWD: usize = 80;

/// How often a case is tried on each of the rows.
const RUNS: usize = 13;

/// Of a crowd, so many are whole.
const WHOLE: usize = 8;

const HALF: &str = "half of it\n";

/// What most people write.
const PLAIN: &str = "cat > PART && mv PART DONE";

/// What the plugin `store` stores: an upload becomes a file in a directory.
struct Store(TempDir);

impl Store {
    /// Starts the plugin. The command gets its input to a file `PART`, and then renames that to `DONE`.
    fn start(place: &Place, command: &str) -> (Self, Tool) {
        Self::start_with(place, command, &mut minbus(&place.address))
    }

    fn start_with(place: &Place, command: &str, tool: &mut Command) -> (Self, Tool) {
        let directory = TempDir::with_prefix("minbus-").unwrap();
        let file = |end| format!("\"{}/$MINBUS_PEER.{end}\"", directory.path().display());
        let script = command.replace("PART", &file("part")).replace("DONE", &file("done"));
        let tool = Tool::start(tool.args(["provide", "store", "--", "sh", "-c", &script]));
        place.wait_listed("store");
        (Self(directory), tool)
    }

    fn files(&self, end: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == end)).collect()
    }

    /// How many uploads are done, and how many are not.
    fn done_and_part(&self) -> (usize, usize) {
        (self.files("done").len(), self.files("part").len())
    }

    fn wait_for_halves(&self, count: usize) {
        let is_half = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text == HALF);
        wait_until("halves have come", || self.files("part").iter().filter(|path| is_half(path)).count() == count);
    }
}

/// Those who upload.
struct Uploads {
    runtime: Runtime,
    all: Vec<(Bus, Channel)>,
}

impl Uploads {
    fn none() -> Self {
        Self { runtime: runtime::Builder::new_current_thread().enable_all().build().unwrap(), all: Vec::new() }
    }

    /// Begins another one, unless the store denies it.
    fn begin(&mut self, place: &Place) -> bool {
        let address: Address = place.address.parse().unwrap();
        static NAMES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("upload-{}", NAMES.fetch_add(1, Ordering::Relaxed));
        let begun = self.runtime.block_on(async {
            let bus = Bus::builder().address(address).name(name).connect_timeout(PATIENCE).connect().await.unwrap();
            let mut channel = bus.open("store").await.ok()?;
            channel.send(HALF).await.unwrap();
            channel.flush().await.unwrap();
            // What was flushed is on its way: the relay answers behind it.
            bus.ping().await.unwrap();
            Some((bus, channel))
        });
        begun.map(|upload| self.all.push(upload)).is_some()
    }

    /// Closes the first ones, so that they are whole, and waits until the processes have made something of them.
    fn complete(&mut self, count: usize) {
        self.runtime.block_on(async {
            for (_, channel) in &mut self.all[..count] {
                channel.close("").await.unwrap();
                assert_eq!(channel.recv().await.unwrap(), None);
            }
        });
    }

    /// They are gone, and have closed nothing.
    fn vanish(self) {
        std::mem::forget(self.all);
        self.runtime.shutdown_timeout(Duration::ZERO);
    }
}

/// Breaks off a crowd of uploads in some way, a few of which have become whole before.
fn break_off(command: &str, what: &str, how: impl Fn(&mut Place, &Tool)) {
    for mut place in Place::crossed() {
        let (store, tool) = Store::start(&place, command);
        let mut uploads = Uploads::none();
        (0..CROWD).for_each(|_| assert!(uploads.begin(&place)));
        store.wait_for_halves(CROWD);
        uploads.complete(WHOLE);
        how(&mut place, &tool);
        // The processes have its standard error, too: when that has ended, so have they.
        tool.wait();
        assert_eq!(store.done_and_part(), (WHOLE, CROWD - WHOLE), "{what}, {}", place.address);
        uploads.vanish();
    }
}

/// The last one has no meaning here, and would end it without a word.
#[test]
fn signals_break_them_off() {
    for signal in [Signal::TERM, Signal::INT, Signal::USR1] {
        break_off(PLAIN, &format!("{signal:?}"), |_, tool| tool.signal(signal));
    }
}

/// What has come as a whole is not broken off by the end of the other direction.
#[test]
fn a_plugin_that_leaves_behind_the_end_of_its_upload_does_not_break_it_off() {
    for place in Place::crossed() {
        let (store, tool) = Store::start(&place, PLAIN);
        let mut uploads = Uploads::none();
        (0..RUNS).for_each(|_| assert!(uploads.begin(&place)));
        store.wait_for_halves(RUNS);
        uploads.runtime.block_on(async {
            for (bus, channel) in &mut uploads.all {
                channel.close("").await.unwrap();
                // The relay has got it, and a socket that is closed in haste takes nothing with it any more.
                bus.ping().await.unwrap();
            }
        });
        uploads.vanish();
        wait_until("all are done", || store.done_and_part() == (RUNS, 0));
        tool.stop(Signal::TERM);
    }
}

/// Who goes on after it is not the process that was started, but one that it has started.
#[test]
fn a_terminal_that_is_gone_breaks_them_off() {
    break_off("(cat > PART && mv PART DONE) | cat", "SIGHUP", |_, tool| tool.signal(Signal::HUP));
}

#[test]
fn the_death_of_the_bus_breaks_them_off() {
    break_off(PLAIN, "no bus", |place, _| place.daemon.kill());
}

/// The shell does not wait for who reads the input, so it has ended before.
#[test]
fn a_process_that_leaves_somebody_behind_breaks_it_off() {
    let place = Place::new();
    let (store, tool) =
        Store::start(&place, "exec 3<&0; (cat <&3 > PART && mv PART DONE) & until test -s PART; do :; done");
    let mut uploads = Uploads::none();
    assert!(uploads.begin(&place));
    store.wait_for_halves(1);
    uploads.runtime.block_on(async {
        // It is an end like any other for who listens.
        assert_eq!(uploads.all[0].1.recv().await.unwrap(), None);
    });
    tool.signal(Signal::TERM);
    tool.wait();
    assert_eq!(store.done_and_part(), (0, 1));
}

/// A process begins with the default for SIGHUP, also where the tool ignores it.
#[test]
fn nohup_does_not_keep_them_from_being_broken_off() {
    let place = Place::new();
    let mut nohup = Command::new("nohup");
    let tool = minbus(&place.address);
    nohup.arg(tool.get_program()).args(tool.get_args());
    nohup.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (store, tool) = Store::start_with(&place, PLAIN, &mut nohup);
    let mut uploads = Uploads::none();
    assert!(uploads.begin(&place));
    store.wait_for_halves(1);
    tool.signal(Signal::HUP);
    assert_eq!(listed(&place.address)[0], "store", "it goes on");
    tool.stop(Signal::TERM);
    assert_eq!(store.done_and_part(), (0, 1));
}

/// Descriptors run out at every point of setting up a process.
#[test]
fn a_want_of_descriptors_breaks_nothing_off_in_silence() {
    /// Descriptors that there may be for processes, beside those of the tool.
    const SPARE: u64 = 24;
    let place = Place::new();
    let (store, tool) = Store::start(&place, PLAIN);
    let pid = Pid::from_raw(tool.id() as i32);
    let open = || testkit::proc::open_files(tool.id()).unwrap() as u64;
    let (own, maximum) = (open(), getrlimit(Resource::Nofile).maximum);
    let mut accepted = 0;
    for spare in 0..SPARE {
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(own + spare), maximum }).unwrap();
        let mut uploads = Uploads::none();
        while uploads.begin(&place) {}
        accepted += uploads.all.len();
        uploads.vanish();
        eventually("all processes are gone", || (open() == own).then_some(()));
        assert_eq!(store.done_and_part().0, 0, "with {spare} descriptors");
    }
    assert!(accepted > 0);
    tool.stop(Signal::TERM);
}
