//! What the kernel knows of this process.

use std::fs;
use std::io;

/// As Prometheus' own libraries tell it.
#[derive(Debug, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) open_fds: u64,
    /// Since the epoch.
    pub(super) start_seconds: f64,
}

/// Clock ticks in a second, as Linux tells user space on all machines that this runs on.
const TICKS: f64 = 100.0;

impl Process {
    /// None where there is no `/proc` as on Linux.
    pub(super) fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let open_fds = fs::read_dir("/proc/self/fd").and_then(Iterator::collect::<io::Result<Vec<_>>>).ok()?;
        // One of them is that which lists them.
        Self::of(&stat, &status, &machine, (open_fds.len() as u64).saturating_sub(1))
    }

    fn of(stat: &str, status: &str, machine: &str, open_fds: u64) -> Option<Self> {
        // The second field is a name in parentheses, with anything in it; the third is the state (proc_pid_stat(5)).
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let ticks = |place: usize| fields.get(place - 3)?.parse().ok().map(|ticks: f64| ticks / TICKS);
        let line = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        Some(Self {
            cpu_seconds: ticks(14)? + ticks(15)?,
            resident_bytes: line(status, "VmRSS:")? * 1024,
            open_fds,
            start_seconds: line(machine, "btime ")? as f64 + ticks(22)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_are_no_fields() {
        let stat = "7 (a) R 0 (b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 5 0 1000 1 1";
        let read = Process::of(stat, "Name:\ta\nVmRSS:\t    2048 kB\n", "cpu 1\nbtime 1700000000\n", 3);
        let wanted =
            Process { cpu_seconds: 2.0, resident_bytes: 2048 * 1024, open_fds: 3, start_seconds: 1_700_000_010.0 };
        assert_eq!(read, Some(wanted));
        assert_eq!(Process::of("7 (a", "", "", 0), None);
    }
}
