//! Judges what was given: each value alone against its key, then those that must fit each other.

use std::fmt::Display;
use std::mem;
use std::time::Duration;

use rustix::thread::CpuSet;

use super::environment::Environment;
use super::error::{ConfigError, Place, Problem};
use super::kernel_memory::least_bytes;
use super::keys::{self, Key, Number, Unit};
use super::raw::{Raw, Value};
use super::rules;
use super::value::{cpu_list, number, parse_cpus, parse_mode, parse_size, size};
use super::{
    Bus, Config, Credit, Engine, Initiator, Limits, Listen, ROOT_SOCKET, Shards, Socket, Stats, TcpAddress,
    USER_SOCKET_NAME, UnixAddress,
};
use limits::{UNIX_MODE, UNIX_PATH_BYTES_MAX};

/// Turns what was given into a [`Config`], and collects what cannot be.
pub(super) struct Judge<'a> {
    raw: Raw,
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(mut raw: Raw, environment: &'a Environment) -> Self {
        let problems = mem::take(&mut raw.problems);
        Self { raw, environment, problems }
    }

    pub(super) fn config(mut self) -> Result<Config, ConfigError> {
        let config = Config {
            listen: self.listen(),
            shards: self.shards(),
            bus: self.bus(),
            limits: self.limits(),
            credit: self.credit(),
            socket: self.socket(),
            engine: self.engine(),
        };
        // A value that was refused stands as its default here, and would only be blamed for a second time.
        if self.problems.is_empty() {
            self.relations(&config);
        }
        if self.problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(self.problems)) }
    }

    fn listen(&mut self) -> Listen {
        let paths = self.value(&keys::UNIX, |value| list(value, "a path", UnixAddress::parse));
        let tcp = self.value(&keys::TCP, |value| list(value, "HOST:PORT", TcpAddress::parse));
        let unix_mode = self.value(&keys::UNIX_MODE, mode).unwrap_or(UNIX_MODE);
        let refused = !self.problems.is_empty();
        let mut listen = Listen { unix: paths.unwrap_or_default(), unix_mode, tcp: tcp.unwrap_or_default() };
        if listen.unix.is_empty() && listen.tcp.is_empty() && !refused {
            listen.unix.extend(self.default_socket());
        }
        listen
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

    fn shards(&mut self) -> Shards {
        let allowed = &self.environment.cpus;
        let cpus = self.value(&keys::CPUS, |value| cpus(value, allowed)).unwrap_or_else(|| allowed.clone());
        let count = self.given_number(&keys::COUNT).map_or(cpus.len(), |count| count as usize);
        Shards { count, cpus, pin: self.switch(&keys::PIN, true) }
    }

    fn bus(&mut self) -> Bus {
        Bus {
            initiator: self.value(&keys::INITIATOR, initiator).unwrap_or(Initiator::Named),
            stats: self.value(&keys::STATS, stats).unwrap_or(Stats::Owner),
            registration_timeout: self.time(&keys::REGISTRATION_TIMEOUT),
            heartbeat_interval: self.time(&keys::HEARTBEAT_INTERVAL),
            heartbeat_timeout: self.time(&keys::HEARTBEAT_TIMEOUT),
            end_credit_timeout: self.time(&keys::END_CREDIT_TIMEOUT),
            shutdown_timeout: self.time(&keys::SHUTDOWN_TIMEOUT),
        }
    }

    fn limits(&mut self) -> Limits {
        Limits {
            connections_max: self.number(&keys::CONNECTIONS_MAX) as usize,
            connections_per_uid_max: self.number(&keys::CONNECTIONS_PER_UID_MAX) as usize,
            channels_per_plugin_max: self.number(&keys::CHANNELS_PER_PLUGIN_MAX) as usize,
            offers_per_plugin_max: self.number(&keys::OFFERS_PER_PLUGIN_MAX) as usize,
            offer_timeout: self.time(&keys::OFFER_TIMEOUT),
            openings_partial_max: self.number(&keys::OPENINGS_PARTIAL_MAX) as usize,
            top_level_credit_bytes: self.number(&keys::TOP_LEVEL_CREDIT),
            overhead_memory_bytes: self.number(&keys::OVERHEAD_MEMORY) as usize,
            work_units_per_s: self.number(&keys::WORK_UNITS_PER_S),
            work_burst_units: self.number(&keys::WORK_BURST),
            flood_timeout: self.time(&keys::FLOOD_TIMEOUT),
        }
    }

    fn credit(&mut self) -> Credit {
        let mut credit = Credit {
            memory_bytes: self.number(&keys::MEMORY),
            cap_min_bytes: self.number(&keys::CAP_MIN),
            cap_initial_bytes: self.number(&keys::CAP_INITIAL),
            cap_max_bytes: self.number(&keys::CAP_MAX),
            standing_unix: self.time(&keys::STANDING_UNIX),
            standing_tcp: self.time(&keys::STANDING_TCP),
            standing_interval: self.time(&keys::STANDING_INTERVAL),
            idle: self.time(&keys::IDLE),
            rules: Vec::new(),
        };
        credit.rules = rules::read(mem::take(&mut self.raw.rules), &credit, &mut self.problems);
        credit
    }

    fn socket(&mut self) -> Socket {
        Socket {
            unix_send_buffer_bytes: self.number(&keys::UNIX_SEND_BUFFER) as usize,
            unix_receive_buffer_bytes: self.number(&keys::UNIX_RECEIVE_BUFFER) as usize,
            tcp_send_buffer_bytes: self.number(&keys::TCP_SEND_BUFFER) as usize,
            tcp_receive_buffer_bytes: self.number(&keys::TCP_RECEIVE_BUFFER) as usize,
            tcp_nodelay: self.switch(&keys::TCP_NODELAY, true),
            // The ranges of these keys fit in the types: asserted where the keys stand.
            tcp_notsent_lowat_bytes: self.number(&keys::TCP_NOTSENT_LOWAT) as u32,
            tcp_keepalive: Duration::from_secs(self.number(&keys::TCP_KEEPALIVE)),
            tcp_busy_poll_us: self.number(&keys::TCP_BUSY_POLL) as u32,
            kernel_memory_bytes: self.number(&keys::KERNEL_MEMORY),
        }
    }

    fn engine(&mut self) -> Engine {
        // The ranges of these keys fit in the types: asserted where the keys stand.
        Engine {
            ring_entries: self.number(&keys::RING_ENTRIES) as u32,
            receive_buffers: self.number(&keys::RECEIVE_BUFFERS) as u16,
            receive_buffer_bytes: self.number(&keys::RECEIVE_BUFFER) as usize,
            outbox_bytes: self.number(&keys::OUTBOX) as usize,
            splice: self.switch(&keys::SPLICE, true),
            splice_min_bytes: self.number(&keys::SPLICE_MIN),
            pipe_bytes: self.number(&keys::PIPE) as usize,
            pipes_max: self.number(&keys::PIPES) as usize,
            spin: Duration::from_micros(self.number(&keys::SPIN)),
        }
    }

    /// The rules between keys.
    fn relations(&mut self, config: &Config) {
        let Bus { heartbeat_interval, heartbeat_timeout, .. } = config.bus;
        let (interval, timeout) = (heartbeat_interval.as_millis() as u64, heartbeat_timeout.as_millis() as u64);
        self.relate(timeout > interval, &keys::HEARTBEAT_TIMEOUT, timeout, || {
            format!("must be more than bus.heartbeat_interval_ms, which is {}", number(interval))
        });
        let &Credit { memory_bytes, cap_min_bytes, cap_initial_bytes, cap_max_bytes, .. } = &config.credit;
        self.relate(cap_min_bytes <= cap_initial_bytes, &keys::CAP_MIN, cap_min_bytes, || {
            format!("must be at most credit.cap_initial_bytes, which is {}", size(cap_initial_bytes))
        });
        self.relate(cap_initial_bytes <= cap_max_bytes, &keys::CAP_INITIAL, cap_initial_bytes, || {
            format!("must be at most credit.cap_max_bytes, which is {}", size(cap_max_bytes))
        });
        self.relate(cap_max_bytes <= memory_bytes / 2, &keys::CAP_MAX, cap_max_bytes, || {
            format!("must be at most half of credit.memory_bytes, which is {}", size(memory_bytes))
        });
        let (kernel_bytes, least) = (config.socket.kernel_memory_bytes, least_bytes(&config.limits));
        self.relate(least <= kernel_bytes, &keys::KERNEL_MEMORY, kernel_bytes, || {
            let connections = number(config.limits.connections_max as u64);
            format!("must be at least {} for limits.connections_max = {connections}", size(least))
        });
        let Listen { unix, tcp, .. } = &config.listen;
        self.once(&keys::UNIX, unix.iter().map(UnixAddress::to_string));
        self.once(&keys::TCP, tcp.iter().filter(|address| address.port != 0).map(TcpAddress::to_string));
    }

    /// Says so when a rule between `number` and another key does not hold.
    fn relate(&mut self, holds: bool, number: &Number, value: u64, expected: impl FnOnce() -> String) {
        if holds {
            return;
        }
        let key = &number.key;
        // Not given itself: then the other key was, and the default of this one is in its way.
        let (place, what) = self.raw.get(key).map_or_else(
            || {
                let value = shown(number.unit, value);
                (Place::Elsewhere, format!("{}.{} = {value} (the default)", key.section, key.name))
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

    fn number(&mut self, number: &Number) -> u64 {
        self.given_number(number).unwrap_or(number.default)
    }

    fn given_number(&mut self, number: &Number) -> Option<u64> {
        self.value(&number.key, |value| read_number(number, value))
    }

    fn time(&mut self, number: &Number) -> Duration {
        Duration::from_millis(self.number(number))
    }

    fn switch(&mut self, key: &Key, default: bool) -> bool {
        let read = |value: &Value| match value {
            Value::Switch(on) => Ok(*on),
            _ => Err("must be true or false".into()),
        };
        self.value(key, read).unwrap_or(default)
    }

    /// The value of a key, if it was given and `read` takes it. Else what would be right is said.
    fn value<T>(&mut self, key: &Key, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let given = self.raw.get(key)?;
        match read(&given.value) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.refuse(key, expected);
                None
            }
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

pub(super) fn read_number(number: &Number, value: &Value) -> Result<u64, String> {
    let read = match value {
        Value::Integer(integer) => u64::try_from(*integer).ok(),
        Value::Text(text) if number.unit == Unit::Bytes => parse_size(text),
        _ => None,
    };
    let fits =
        |value: &u64| (number.least..=number.most).contains(value) && (!number.power_of_two || value.is_power_of_two());
    read.filter(fits).ok_or_else(|| format!("must be {}", range(number)))
}

/// What a number may be, in words.
pub(super) fn range(number: &Number) -> String {
    let kind = match (number.power_of_two, number.unit) {
        (true, _) => "a power of two, ",
        (_, Unit::Bytes) => "a size, ",
        (_, Unit::Milliseconds) => "milliseconds, ",
        (_, Unit::Microseconds) => "microseconds, ",
        (_, Unit::Seconds) => "seconds, ",
        (_, Unit::Things) => "a whole number, ",
    };
    format!("{kind}{} to {}", shown(number.unit, number.least), shown(number.unit, number.most))
}

/// A number in the notation of its unit.
pub(super) fn shown(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Bytes => size(value),
        Unit::Things | Unit::Milliseconds | Unit::Microseconds | Unit::Seconds => number(value),
    }
}

fn list<T>(value: &Value, kind: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let must = || format!("must be a list of texts, each {kind}");
    let Value::List(values) = value else { return Err(must()) };
    values.iter().map(|value| if let Value::Text(text) = value { read(text) } else { Err(must()) }).collect()
}

fn mode(value: &Value) -> Result<u32, String> {
    let read = if let Value::Text(text) = value { parse_mode(text) } else { None };
    read.ok_or_else(|| "must be a text of octal digits, \"0\" to \"0777\", as in \"0660\"".into())
}

fn initiator(value: &Value) -> Result<Initiator, String> {
    match value {
        Value::Text(text) if text == "named" => Ok(Initiator::Named),
        Value::Text(text) if text == "anonymous" => Ok(Initiator::Anonymous),
        _ => Err("must be \"named\" or \"anonymous\"".into()),
    }
}

fn stats(value: &Value) -> Result<Stats, String> {
    match value {
        Value::Text(text) if text == "owner" => Ok(Stats::Owner),
        Value::Text(text) if text == "anyone" => Ok(Stats::Anyone),
        Value::Text(text) if text == "nobody" => Ok(Stats::Nobody),
        _ => Err("must be \"owner\", \"anyone\" or \"nobody\"".into()),
    }
}

fn cpus(value: &Value, allowed: &[usize]) -> Result<Vec<usize>, String> {
    let form = || format!("must be a text that lists CPUs, each once, as in \"{}\"", cpu_list(allowed));
    let Value::Text(text) = value else { return Err(form()) };
    let cpus = parse_cpus(text, CpuSet::MAX_CPU - 1).ok_or_else(form)?;
    let refused: Vec<_> = cpus.iter().copied().filter(|cpu| !allowed.contains(cpu)).collect();
    if refused.is_empty() { Ok(cpus) } else { Err(not_allowed(&refused, &cpu_list(allowed))) }
}

fn not_allowed(refused: &[usize], allowed: &impl Display) -> String {
    format!("must be among the CPUs that the process may run on, {allowed}, and {} is not", cpu_list(refused))
}
