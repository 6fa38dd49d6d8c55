//! Prints a configuration as TOML with a comment on each key: what it does, what it may be, what it is by default.

use std::fmt::Write;
use std::time::Duration;

use super::check::{range, shown};
use super::keys::{self, Key, Number};
use super::value::cpu_list;
use super::{Bus, Config, Credit, CreditRule, Engine, Initiator, Limits, Listen, Shards, Socket, Stats};

pub(super) fn toml(config: &Config) -> String {
    let mut page = Page::default();
    page.comment("Configuration of minbusd, complete. Flags win over it, key by key.");
    page.listen(&config.listen);
    page.shards(&config.shards);
    page.bus(&config.bus);
    page.limits(&config.limits);
    page.credit(&config.credit);
    page.socket(&config.socket);
    page.engine(&config.engine);
    page.text
}

/// What has been written so far.
#[derive(Default)]
struct Page {
    text: String,
    section: &'static str,
}

impl Page {
    fn listen(&mut self, listen: &Listen) {
        let Listen { unix, unix_mode, tcp } = listen;
        self.value(&keys::UNIX, "", &list(unix.iter().map(ToString::to_string)));
        self.value(&keys::UNIX_MODE, "Default: \"0660\".", &quoted(&format!("{unix_mode:04o}")));
        self.value(&keys::TCP, "", &list(tcp.iter().map(ToString::to_string)));
    }

    fn shards(&mut self, shards: &Shards) {
        let Shards { count, cpus, pin } = shards;
        self.value(&keys::COUNT.key, "", &count.to_string());
        self.value(&keys::CPUS, "", &quoted(&cpu_list(cpus)));
        self.value(&keys::PIN, "Default: true.", &pin.to_string());
    }

    fn bus(&mut self, bus: &Bus) {
        let initiator = match bus.initiator {
            Initiator::Named => "named",
            Initiator::Anonymous => "anonymous",
        };
        self.value(&keys::INITIATOR, "Default: \"named\".", &quoted(initiator));
        let stats = match bus.stats {
            Stats::Owner => "owner",
            Stats::Anyone => "anyone",
            Stats::Nobody => "nobody",
        };
        self.value(&keys::STATS, "Default: \"owner\".", &quoted(stats));
        self.time(&keys::REGISTRATION_TIMEOUT, bus.registration_timeout);
        self.time(&keys::HEARTBEAT_INTERVAL, bus.heartbeat_interval);
        self.time(&keys::HEARTBEAT_TIMEOUT, bus.heartbeat_timeout);
        self.time(&keys::END_CREDIT_TIMEOUT, bus.end_credit_timeout);
        self.time(&keys::SHUTDOWN_TIMEOUT, bus.shutdown_timeout);
    }

    fn limits(&mut self, limits: &Limits) {
        self.number(&keys::CONNECTIONS_MAX, limits.connections_max as u64);
        self.number(&keys::CONNECTIONS_PER_UID_MAX, limits.connections_per_uid_max as u64);
        self.number(&keys::CHANNELS_PER_PLUGIN_MAX, limits.channels_per_plugin_max as u64);
        self.number(&keys::OFFERS_PER_PLUGIN_MAX, limits.offers_per_plugin_max as u64);
        self.time(&keys::OFFER_TIMEOUT, limits.offer_timeout);
        self.number(&keys::OPENINGS_PARTIAL_MAX, limits.openings_partial_max as u64);
        self.number(&keys::TOP_LEVEL_CREDIT, limits.top_level_credit_bytes);
        self.number(&keys::OVERHEAD_MEMORY, limits.overhead_memory_bytes as u64);
        self.number(&keys::WORK_UNITS_PER_S, limits.work_units_per_s);
        self.number(&keys::WORK_BURST, limits.work_burst_units);
        self.time(&keys::FLOOD_TIMEOUT, limits.flood_timeout);
    }

    fn credit(&mut self, credit: &Credit) {
        self.number(&keys::MEMORY, credit.memory_bytes);
        self.number(&keys::CAP_MIN, credit.cap_min_bytes);
        self.number(&keys::CAP_INITIAL, credit.cap_initial_bytes);
        self.number(&keys::CAP_MAX, credit.cap_max_bytes);
        self.time(&keys::STANDING_UNIX, credit.standing_unix);
        self.time(&keys::STANDING_TCP, credit.standing_tcp);
        self.time(&keys::STANDING_INTERVAL, credit.standing_interval);
        self.time(&keys::IDLE, credit.idle);
        self.text.push('\n');
        self.comment(keys::RULES.about);
        credit.rules.iter().for_each(|rule| self.rule(rule));
    }

    fn rule(&mut self, rule: &CreditRule) {
        let CreditRule { writer, reader, cap_min_bytes, cap_initial_bytes, cap_max_bytes } = rule;
        self.line(format_args!("[[{}.{}]]", keys::RULES.section, keys::RULES.name));
        for (key, pattern) in [(keys::RULE_WRITER, writer), (keys::RULE_READER, reader)] {
            pattern.iter().for_each(|pattern| self.line(format_args!("{key} = {}", quoted(pattern))));
        }
        for (number, bytes) in
            [(&keys::CAP_MIN, cap_min_bytes), (&keys::CAP_INITIAL, cap_initial_bytes), (&keys::CAP_MAX, cap_max_bytes)]
        {
            self.line(format_args!("{} = {bytes}", number.key.name));
        }
    }

    fn socket(&mut self, socket: &Socket) {
        self.number(&keys::UNIX_SEND_BUFFER, socket.unix_send_buffer_bytes as u64);
        self.number(&keys::UNIX_RECEIVE_BUFFER, socket.unix_receive_buffer_bytes as u64);
        self.number(&keys::TCP_SEND_BUFFER, socket.tcp_send_buffer_bytes as u64);
        self.number(&keys::TCP_RECEIVE_BUFFER, socket.tcp_receive_buffer_bytes as u64);
        self.value(&keys::TCP_NODELAY, "Default: true.", &socket.tcp_nodelay.to_string());
        self.number(&keys::TCP_NOTSENT_LOWAT, socket.tcp_notsent_lowat_bytes.into());
        self.number(&keys::TCP_KEEPALIVE, socket.tcp_keepalive.as_secs());
        self.number(&keys::TCP_BUSY_POLL, socket.tcp_busy_poll_us.into());
        self.number(&keys::KERNEL_MEMORY, socket.kernel_memory_bytes);
    }

    fn engine(&mut self, engine: &Engine) {
        self.number(&keys::RING_ENTRIES, engine.ring_entries.into());
        self.number(&keys::RECEIVE_BUFFERS, engine.receive_buffers.into());
        self.number(&keys::RECEIVE_BUFFER, engine.receive_buffer_bytes as u64);
        self.number(&keys::OUTBOX, engine.outbox_bytes as u64);
        self.value(&keys::SPLICE, "Default: true.", &engine.splice.to_string());
        self.number(&keys::SPLICE_MIN, engine.splice_min_bytes);
        self.number(&keys::PIPE, engine.pipe_bytes as u64);
        self.number(&keys::PIPES, engine.pipes_max as u64);
        self.number(&keys::SPIN, engine.spin.as_micros() as u64);
    }

    fn time(&mut self, number: &Number, time: Duration) {
        self.number(number, time.as_millis() as u64);
    }

    fn number(&mut self, number: &Number, value: u64) {
        let note = format!("{} (default {}).", capitalized(&range(number)), shown(number.unit, number.default));
        let value = shown(number.unit, value);
        let value = if value.contains(' ') { quoted(&value) } else { value };
        self.value(&number.key, &note, &value);
    }

    /// One key, with the head of its section if it is the first of it.
    fn value(&mut self, key: &Key, note: &str, value: &str) {
        if self.section != key.section {
            self.section = key.section;
            self.text.push('\n');
            if let Some((_, about)) = keys::SECTIONS.iter().find(|(section, _)| *section == key.section) {
                self.comment(about);
            }
            self.line(format_args!("[{}]", key.section));
        }
        self.text.push('\n');
        self.comment(key.about);
        self.comment(note);
        self.line(format_args!("{} = {value}", key.name));
    }

    fn comment(&mut self, text: &str) {
        for line in text.lines() {
            self.line(format_args!("# {line}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes all that is written to it");
    }
}

fn list(entries: impl Iterator<Item = String>) -> String {
    format!("[{}]", entries.map(|entry| quoted(&entry)).collect::<Vec<_>>().join(", "))
}

/// A TOML string, escaped as it must be.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
