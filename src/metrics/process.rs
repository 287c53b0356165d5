//! What the kernel says of this process, under the names that all exporters use.
//!
//! Three small files of `/proc/self`. What cannot be read, in a sandbox without
//! `/proc`, is left out rather than shown as 0.

use std::fs;

/// How the kernel counts processor time for programs: `USER_HZ`, part of its
/// interface and 100 wherever this runs.
const TICKS_PER_SECOND: u64 = 100;

/// One reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) cpu_micros: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    /// Reads `/proc/self`.
    pub(super) fn read() -> Self {
        let text = |name| fs::read_to_string(name).unwrap_or_default();
        let status = text("/proc/self/status");
        Self {
            cpu_micros: cpu_micros(&text("/proc/self/stat")),
            open_fds: open_fds(),
            max_fds: max_fds(&text("/proc/self/limits")),
            resident_bytes: kibibytes(&status, "VmRSS:"),
            virtual_bytes: kibibytes(&status, "VmSize:"),
            threads: number(&status, "Threads:"),
        }
    }
}

/// User and system time: the 14th and 15th field of `stat`. The second is the
/// program's name, which may hold anything, `)` too.
fn cpu_micros(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let mut fields = behind_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let sum = ticks()?.checked_add(ticks()?)?;
    sum.checked_mul(1_000_000 / TICKS_PER_SECOND)
}

/// Since Linux 6.2 the directory's size says how many there are; before, they
/// are counted, and the one that counts them is left out.
fn open_fds() -> Option<u64> {
    const FDS: &str = "/proc/self/fd";
    match fs::metadata(FDS).ok()?.len() {
        0 => (fs::read_dir(FDS).ok()?.count() as u64).checked_sub(1),
        size => Some(size),
    }
}

/// The soft limit; `unlimited` is the largest number there is.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        limit => limit.parse().ok(),
    }
}

fn number(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    number(status, name)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let name_of_a_prankster = "7 (a) (b) S 1 7 7 0 -1 4194560 1 0 0 0 150 25 9 9 20 0 5 0 1 2";
        let cases = [
            (
                "plain",
                "7 (x) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0",
                Some(30_000),
            ),
            (
                "parentheses in the name",
                name_of_a_prankster,
                Some(1_750_000),
            ),
            ("cut off", "7 (x) S 1 7 7 0 -1 4194560 1 0 0 0 1", None),
            ("nothing", "", None),
        ];
        for (name, stat, expected) in cases {
            assert_eq!(cpu_micros(stat), expected, "case: {name}");
        }
        let status = "Name:\tx\nVmSize:\t  10 kB\nVmRSS:\t     3 kB\nThreads:\t5\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(3072));
        assert_eq!(kibibytes(status, "VmSize:"), Some(10_240));
        assert_eq!(number(status, "Threads:"), Some(5));
        assert_eq!(number(status, "Missing:"), None);
        let limits = |value| format!("Limit  Soft  Hard\nMax open files   {value}  4096  files\n");
        assert_eq!(max_fds(&limits("1024")), Some(1024));
        assert_eq!(max_fds(&limits("unlimited")), Some(u64::MAX));
        assert_eq!(max_fds(""), None);
    }

    #[test]
    fn this_process_has_all_of_it() {
        let process = Process::read();
        let before = process.open_fds.unwrap();
        assert!(before >= 3, "{before}");
        assert!(process.resident_bytes.unwrap() > 0x10000);
        assert!(process.virtual_bytes >= process.resident_bytes);
        assert!(process.threads.unwrap() >= 1);
        assert!(process.max_fds.unwrap() >= before);
        assert!(process.cpu_micros.is_some());
    }
}
