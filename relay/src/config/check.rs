//! Judges what was given: each value alone against its key, then those that must fit each other.

use std::mem;

use super::environment::Environment;
use super::error::{ConfigError, Place, Problem};
use super::form::DERIVED;
use super::kernel_memory::least_bytes;
use super::keys::{Key, Setting, Source, bus, credit, listen, socket};
use super::raw::Raw;
use super::rules;
use super::value::{Value, number, size};
use super::{Bus, Config, Credit, Listen, ROOT_SOCKET, TcpAddress, USER_SOCKET_NAME, UnixAddress};
use limits::UNIX_PATH_BYTES_MAX;

/// Turns what was given into a [`Config`], and collects what cannot be.
pub(super) struct Judge<'a> {
    raw: Raw,
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl Source for Judge<'_> {
    /// The value of a key: what was given for it, if that can be, else its default.
    fn take<T>(&mut self, Setting { key, form }: &Setting<T>) -> T {
        let environment = self.environment;
        let given = self.raw.get(key);
        let read = given.and_then(|given| given.read(|value| form.read(value, environment), &mut self.problems));
        read.unwrap_or_else(|| form.default(environment))
    }
}

impl<'a> Judge<'a> {
    pub(super) fn new(mut raw: Raw, environment: &'a Environment) -> Self {
        let problems = mem::take(&mut raw.problems);
        Self { raw, environment, problems }
    }

    pub(super) fn config(mut self) -> Result<Config, ConfigError> {
        // Where a key is unknown, it may be the one that says where to listen.
        let unknown = !self.problems.is_empty();
        let mut config = Config::from_source(&mut self);
        if config.listen.unix.is_empty() && config.listen.tcp.is_empty() && !unknown && !self.listeners_given() {
            config.listen.unix.extend(self.default_socket());
        }
        if config.shards.count as u64 == DERIVED {
            config.shards.count = config.shards.cpus.len();
        }
        let rules = mem::take(&mut self.raw.rules);
        config.credit.rules = rules::read(rules, &config.credit, self.environment, &mut self.problems);
        // A value that was refused stands as its default here, and would only be blamed for a second time.
        if self.problems.is_empty() {
            self.relations(&config);
        }
        if self.problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(self.problems)) }
    }

    /// Whether any listener was given, be it one that was refused.
    fn listeners_given(&self) -> bool {
        let given = [self.raw.get(&listen::unix.key), self.raw.get(&listen::tcp.key)];
        given.into_iter().flatten().any(|given| given.value != Value::List(Vec::new()))
    }

    fn default_socket(&mut self) -> Option<UnixAddress> {
        match &self.environment.runtime_directory {
            Some(directory) => {
                let address = UnixAddress::File(directory.join(USER_SOCKET_NAME));
                let bytes = address.bytes_beyond();
                if let Some(bytes) = bytes {
                    let what = format!("XDG_RUNTIME_DIR={}", directory.display());
                    let expected = format!(
                        "nothing else says where to listen, and the path of $XDG_RUNTIME_DIR/{USER_SOCKET_NAME} has \
                         {bytes} bytes, where a socket can have {UNIX_PATH_BYTES_MAX}: set it to a shorter directory, or \
                         give --unix PATH"
                    );
                    self.problem(Place::Elsewhere, what, expected);
                }
                bytes.is_none().then_some(address)
            }
            None if self.environment.root => Some(UnixAddress::File(ROOT_SOCKET.into())),
            None => {
                let expected = "give --unix PATH or --tcp HOST:PORT, or listen.unix or listen.tcp in the \
                                configuration, or set XDG_RUNTIME_DIR to have $XDG_RUNTIME_DIR/minbus.sock";
                self.problem(Place::Elsewhere, "no listener".into(), expected.into());
                None
            }
        }
    }

    /// The rules between keys.
    fn relations(&mut self, config: &Config) {
        let Bus { heartbeat_interval, heartbeat_timeout, .. } = config.bus;
        self.relate(heartbeat_timeout > heartbeat_interval, &bus::heartbeat_timeout, &heartbeat_timeout, || {
            let interval_ms = number(heartbeat_interval.as_millis() as u64);
            format!("must be more than bus.heartbeat_interval_ms, which is {interval_ms}")
        });
        let &Credit { memory_bytes, cap_min_bytes, cap_initial_bytes, cap_max_bytes, .. } = &config.credit;
        for (setting, value, above, name, shown) in [
            (&credit::cap_min_bytes, cap_min_bytes, cap_initial_bytes, "credit.cap_initial_bytes", cap_initial_bytes),
            (&credit::cap_initial_bytes, cap_initial_bytes, cap_max_bytes, "credit.cap_max_bytes", cap_max_bytes),
            (&credit::cap_max_bytes, cap_max_bytes, memory_bytes / 2, "half of credit.memory_bytes", memory_bytes),
        ] {
            self.relate(value <= above, setting, &value, || {
                format!("must be at most {name}, which is {}", size(shown))
            });
        }
        let (kernel_bytes, least) = (config.socket.kernel_memory_bytes, least_bytes(&config.limits));
        self.relate(least <= kernel_bytes, &socket::kernel_memory_bytes, &kernel_bytes, || {
            let connections = number(config.limits.connections_max as u64);
            format!("must be at least {} for limits.connections_max = {connections}", size(least))
        });
        let Listen { unix, tcp, .. } = &config.listen;
        self.once(&listen::unix.key, unix.iter().map(UnixAddress::to_string));
        self.once(&listen::tcp.key, tcp.iter().filter(|address| address.port != 0).map(TcpAddress::to_string));
    }

    /// Says so when a rule between a setting and another one does not hold.
    fn relate<T>(&mut self, holds: bool, setting: &Setting<T>, value: &T, expected: impl FnOnce() -> String) {
        if holds {
            return;
        }
        let Setting { key, form } = setting;
        // Not given itself: then the other key was, and the default of this one is in its way.
        let (place, what) = self.raw.get(key).map_or_else(
            || {
                let line = form.print(key.name, value).replace('"', "");
                (Place::Elsewhere, format!("{}.{line} (the default)", key.section))
            },
            |given| (given.place.clone(), given.shown.clone()),
        );
        self.problem(place, what, expected());
    }

    /// Says so when something is listed twice.
    fn once(&mut self, key: &Key, entries: impl Iterator<Item = String>) {
        let mut seen = Vec::new();
        for entry in entries {
            if seen.contains(&entry) {
                self.refuse(key, format!("must name each listener once, and names {entry} twice"));
                return;
            }
            seen.push(entry);
        }
    }

    fn refuse(&mut self, key: &Key, expected: String) {
        if let Some(given) = self.raw.get(key) {
            self.problem(given.place.clone(), given.shown.clone(), expected);
        }
    }

    fn problem(&mut self, place: Place, what: String, expected: String) {
        self.problems.push(Problem { place, what, expected });
    }
}
