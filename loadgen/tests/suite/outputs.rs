//! Files for results: that one cannot be written is found before the run where it can be, and costs no other result.

use std::fs;

use crate::load::{run, stderr, stdout};

const SHORT: [&str; 3] = ["rpc", "--duration-s", "0.1"];

#[test]
fn what_cannot_be_written_is_found_before_the_run() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("file"), "").expect("written");
    for below in ["missing/result", "file/result", ""] {
        let path = directory.path().join(below).to_str().expect("text").to_owned();
        for flag in ["--json", "--html", "--hdr"] {
            // With nobody there: that would be the next thing to go wrong.
            let output = run(&["--bus", "unix:/nonexistent/bus.sock", &format!("{flag}={path}")]);
            assert_eq!(output.status.code(), Some(1), "{flag} {path}");
            let said = stderr(&output);
            assert!(said.contains(&format!("cannot write {path}: ")) && !said.contains("relay"), "{said}");
            assert_eq!(stdout(&output), "");
        }
    }
}

#[test]
fn a_result_that_is_lost_takes_no_other_with_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (lost, kept) in [("--json", "--html"), ("--html", "--hdr"), ("--hdr", "--json")] {
        let path = directory.path().join(&kept[2..]);
        let flags = [format!("{lost}=/dev/full"), format!("{kept}={}", path.display())];
        let output = run(&[&SHORT[..], &[flags[0].as_str(), flags[1].as_str()]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let table = ["relay: a process of its own", "throughput", "latency"];
        assert!(table.iter().all(|part| stdout(&output).contains(part)), "the table is there: {}", stdout(&output));
        assert!(stderr(&output).contains("cannot write /dev/full: "), "{}", stderr(&output));
        assert!(fs::metadata(&path).expect("written").len() > 100, "{kept} is there");
    }
}

#[test]
fn results_take_the_place_of_those_before() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("page.html");
    let long_before = "before ".repeat(1 << 20);
    fs::write(&path, &long_before).expect("written");
    let html = format!("--html={}", path.display());
    let output = run(&["--bus", "unix:/nonexistent/bus.sock", &html]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&path).expect("there"), long_before, "there is nothing to take its place");
    let output = run(&[&SHORT[..], &[html.as_str()]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let page = fs::read_to_string(&path).expect("there");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 1, "nothing else is left");
}

#[test]
fn two_results_in_one_file_are_wrong_usage() {
    let output = run(&["rpc", "--json=same", "--html=same"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("a file of its own"), "{}", stderr(&output));
}
