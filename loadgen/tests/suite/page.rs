//! The page of a run in headless Chromium: everything is where it can be read, and nothing is asked of a network.
//!
//! What a browser makes of a page depends on it and on its fonts. So it is looked at only where [`VARIABLE`] names one that is
//! known to do, as continuous integration does.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::process::Process;

use crate::load::{PATIENCE, run, stderr};

/// Names a Chromium to look at the page with.
const VARIABLE: &str = "MINBUS_TEST_BROWSER";

/// Looks at the page from inside, and writes down what it finds.
const PROBE: &str = r#"
<pre id="found"></pre>
<script>
const found = { charts: [], outside: [], overlapping: [], resources: [] };
for (const svg of document.querySelectorAll('svg')) {
  const whole = svg.getBoundingClientRect();
  found.charts.push([whole.width, whole.height, svg.querySelectorAll('polyline').length]);
  const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
  boxes.forEach(([text, box], index) => {
    const is_outside = box.left < whole.left - 1 || box.right > whole.right + 1 ||
      box.top < whole.top - 1 || box.bottom > whole.bottom + 1;
    if (is_outside || box.width === 0) found.outside.push(text);
    for (const [other, next] of boxes.slice(index + 1)) {
      const apart = box.right <= next.left || next.right <= box.left || box.bottom <= next.top + 2 || next.bottom <= box.top + 2;
      if (!apart) found.overlapping.push([svg.getAttribute('aria-label'), text, other]);
    }
  });
}
found.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
found.resources = performance.getEntriesByType('resource').map(entry => entry.name).filter(name => !name.startsWith('data:'));
found.title = document.querySelector('h1').textContent;
document.getElementById('found').textContent = JSON.stringify(found);
</script>
"#;

/// What the browser makes of a page.
fn look(browser: &OsStr, page: &Path, width: u32) -> Value {
    let profile = tempfile::tempdir().expect("a temporary directory");
    let log = profile.path().join("dom.html");
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--dump-dom",
    ];
    let mut command = Command::new(browser);
    command
        .args(flags)
        .arg(format!("--window-size={width},1000"))
        .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&log).expect("a file"))
        .stderr(Stdio::null());
    let mut running = Process::start(&mut command).expect("the browser runs");
    running.await_end(PATIENCE).expect("it is ours").expect("the browser ends");
    let dom = fs::read_to_string(&log).expect("it has written the page");
    let found = dom.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let found = found.expect("the probe has run").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    serde_json::from_str(&found).expect("JSON")
}

/// Runs phases of all sorts, whose page is at the path then.
fn make_page(path: &Path) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("phases.toml");
    fs::write(
        &file,
        "[defaults]\nduration_s = 0.2\nwarm_up_s = 0.05\n[[phase]]\nscenario = \"flood\"\n\
         [[phase]]\nname = \"<b>calls</b> & answers\"\nscenario = \"rpc\"\n[[phase]]\nscenario = \"mixed\"\n\
         [[phase]]\nscenario = \"stalled\"\n[[phase]]\nscenario = \"rpc\"\nrate = \"sweep\"\n",
    )
    .expect("written");
    let output = run(&["--file", file.to_str().expect("text"), "--html", path.to_str().expect("text")]);
    assert!(output.status.success(), "{}", stderr(&output));
    fs::read_to_string(path).expect("written")
}

#[test]
fn the_page_needs_no_network() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let page = make_page(&directory.path().join("page.html"));
    for elsewhere in ["http:", "https:", "//cdn", "<script"] {
        assert!(!page.contains(elsewhere), "the page refers to {elsewhere}");
    }
    assert!(page.contains("&lt;b&gt;calls&lt;/b&gt; &amp; answers"), "names are text");
}

#[test]
fn the_page_can_be_read_in_a_browser() {
    let Some(browser) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
        eprintln!("skipped: {VARIABLE} names no Chromium to look at the page with");
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("page.html");
    let page = make_page(&path);
    fs::write(&path, page.replace("</body>", &format!("{PROBE}</body>"))).expect("written");
    for width in [1240, 600] {
        let found = look(&browser, &path, width);
        let none = Value::Array(Vec::new());
        assert_eq!(found["title"], "minbus-load");
        assert_eq!(
            (&found["outside"], &found["overlapping"]),
            (&none, &none),
            "at {width}: text where it cannot be read"
        );
        assert_eq!(found["resources"], none, "nothing is loaded");
        assert_eq!(found["wide"], 0, "nothing hangs out of the page at {width}");
        let charts = found["charts"].as_array().expect("a list");
        assert!(charts.len() >= 15, "{} charts", charts.len());
        for chart in charts {
            assert!(chart[0].as_f64() > Some(250.0) && chart[1].as_f64() > Some(100.0), "{chart}");
            assert!(chart[2].as_u64() > Some(0), "a chart without a line");
        }
    }
}
