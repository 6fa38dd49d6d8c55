//! What a machine is called: CPUs have names that their makers have put all sorts of things into, or none.

use std::env::consts::ARCH;
use std::thread;

use testkit::proc;

use super::model::Machine;
use super::text;

/// The longest name of a CPU and the longest release of a kernel in a line for people, in characters.
const CPU_MAX: usize = 40;
const KERNEL_MAX: usize = 40;

/// What makers append to names and nobody reads.
const NOISE: [&str; 6] = ["(R)", "(r)", "(TM)", "(tm)", "®", "™"];

/// This machine, which produces and checks so many messages a second through memory.
pub(crate) fn this(checked_per_s: f64) -> Machine {
    // Without /proc there is nothing to say, and that is no reason not to measure.
    Machine {
        cpu: proc::cpu_name().unwrap_or_else(|| ARCH.into()),
        cpus: thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: proc::machine_memory_bytes().unwrap_or(0),
        kernel: proc::said_in("/proc/sys/kernel/osrelease").unwrap_or_default(),
        checked_per_s,
    }
}

/// The machine in less than a line.
pub(crate) fn in_short(machine: &Machine) -> String {
    let plural = if machine.cpus == 1 { "" } else { "s" };
    let mut words = vec![format!("{} CPU{plural}", machine.cpus)];
    let cpu = without_noise(&machine.cpu);
    if !cpu.is_empty() {
        words.push(text::shortened(&cpu, CPU_MAX));
    }
    let kernel = machine.kernel.trim();
    words.push(if kernel.is_empty() {
        "Linux".into()
    } else {
        format!("Linux {}", text::shortened(kernel, KERNEL_MAX))
    });
    words.join(", ")
}

/// What of a name tells one CPU from another.
fn without_noise(name: &str) -> String {
    let name = NOISE.iter().fold(name.to_owned(), |name, noise| name.replace(noise, " "));
    // The nominal frequency is that of no core at any time.
    let name = name.split_once(" @ ").map_or(name.as_str(), |(name, _)| name);
    name.split_whitespace().filter(|word| *word != "CPU").collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_for_people() {
        for (name, short) in [
            ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "Intel Xeon Platinum 8375C"),
            ("Intel(R) Xeon(R) Processor", "Intel Xeon Processor"),
            ("AMD EPYC 7R13 Processor", "AMD EPYC 7R13 Processor"),
            ("Intel(R) Core(TM)2 CPU  6600  @ 2.40GHz", "Intel Core 2 6600"),
            ("CPU", ""),
            ("", ""),
        ] {
            assert_eq!(without_noise(name), short);
        }
    }

    #[test]
    fn a_machine_without_names_is_named_by_what_there_is() {
        let machine =
            Machine { cpu: String::new(), cpus: 1, memory_bytes: 0, kernel: String::new(), checked_per_s: 0.0 };
        assert_eq!(in_short(&machine), "1 CPU, Linux");
        assert!(this(1.0).cpus > 0 && !this(1.0).cpu.is_empty());
    }
}
