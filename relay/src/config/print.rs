//! Prints a configuration as TOML with a comment on each key: what it does, what it may be, what it is by default.

use super::Config;
use super::keys::{self, Reload, Setting, Sink};

pub(super) fn toml(config: &Config) -> String {
    let mut page = Page::default();
    page.comment(
        "Configuration of minbusd, complete. Flags win over it, key by key.\n\
         It is read when the daemon starts, so that a change takes a restart. Behind each key stands what a change can\n\
         concern once a running daemon can be told: what is there as well (at once), new connections, or a restart only.",
    );
    config.put_into(&mut page);
    page.text
}

/// What has been written so far.
#[derive(Default)]
struct Page {
    text: String,
    section: &'static str,
}

impl Sink for Page {
    /// Writes one key, with the head of its section if it is the first of it.
    fn put<T>(&mut self, Setting { key, form }: &Setting<T>, value: &T) {
        if self.section != key.section {
            self.section = key.section;
            self.text.push('\n');
            let about = keys::SECTIONS.iter().find(|(section, _)| *section == key.section);
            about.iter().for_each(|(_, about)| self.comment(about));
            self.line(&format!("[{}]", key.section));
        }
        let reload = match key.reload {
            Reload::AtOnce => "Reload: at once.",
            Reload::NewConnections => "Reload: new connections.",
            Reload::Restart => "Reload: restart.",
        };
        self.text.push('\n');
        self.comment(key.about);
        self.comment(&format!("{} {reload}", form.note()));
        form.print(key.name, value).lines().for_each(|line| self.line(line));
    }
}

impl Page {
    fn comment(&mut self, text: &str) {
        text.lines().for_each(|line| self.line(&format!("# {}", line.trim_start())));
    }

    fn line(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }
}
