//! What becomes of half an input, however it is left.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{self, Runtime};
use tokio::time::{sleep, timeout};

use super::*;

/// How long anything may take. It bounds a test that fails; it measures nothing.
const PATIENCE: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A process that renames what it has got, and has got half of it.
async fn half(directory: &Path) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", "cat > part && mv part done"]).current_dir(directory);
    let mut process = Process::start(command).unwrap();
    process.input.write(b"half").await.unwrap();
    let part = directory.join("part");
    let come = async {
        while fs::read(&part).unwrap_or_default() != b"half" {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, come).await.expect("half of it comes");
    process
}

/// How it has ended, and whether it has taken half for all.
async fn end(mut life: Life, directory: &TempDir) -> (Option<i32>, bool) {
    life.ended().await;
    // Others that it has started may live on, but not so long that they are waited for by those who read its files.
    let status = life.status().unwrap();
    (status.code(), directory.path().join("done").exists())
}

/// What has become of half an input when its end was left like that.
fn ended(leave: impl AsyncFnOnce(Input)) -> (Option<i32>, bool) {
    let directory = TempDir::new().unwrap();
    runtime().block_on(async {
        let Process { input, life, .. } = half(directory.path()).await;
        leave(input).await;
        end(life, &directory).await
    })
}

#[test]
fn an_end_as_a_whole_is_one() {
    assert_eq!(ended(async |mut input| input.end(true)), (Some(0), true));
}

#[test]
fn an_end_that_is_none_is_told_before() {
    assert_eq!(ended(async |mut input| input.end(false)), (None, false), "a signal");
}

#[test]
fn a_panic_is_told_before() {
    let panics = async |input| {
        let panicked = tokio::spawn(async move {
            let _input: Input = input;
            panic!("on purpose");
        });
        assert!(panicked.await.unwrap_err().is_panic());
    };
    assert_eq!(ended(panics), (None, false));
}

/// A runtime that is left drops its tasks without a word to them.
#[test]
fn a_runtime_that_ends_is_told_before() {
    let runtime = runtime();
    let directory = TempDir::new().unwrap();
    let life = runtime.block_on(async {
        let Process { input, life, .. } = half(directory.path()).await;
        tokio::spawn(async move {
            let _input = input;
            std::future::pending::<()>().await;
        });
        life
    });
    drop(runtime);
    let ended = self::runtime().block_on(end(life, &directory));
    assert_eq!(ended, (None, false));
}

#[test]
fn a_process_that_ends_by_itself_is_told_nothing() {
    let runtime = runtime();
    let directory = TempDir::new().unwrap();
    let code = runtime.block_on(async {
        let mut command = Command::new("sh");
        // Who is left behind does not read the input, from when it says so on, and would die of the signal.
        let script =
            "(: > ready; sleep 0.2; echo survived > done) < /dev/null & until test -e ready; do :; done; exit 3";
        command.args(["-c", script]).current_dir(directory.path());
        let Process { input, output, mut life } = Process::start(command).unwrap();
        life.ended().await;
        drop(input);
        // It has the output, too.
        output.readable().await.unwrap();
        life.status().unwrap().code()
    });
    assert_eq!(code, Some(3));
    assert!(directory.path().join("done").exists());
}
