//! Detects the available memory.

use std::fs;

/// Returns the megabytes of the machine, or the container's limit; none: unknown.
pub fn megabytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let machine = machine.and_then(|text| of_machine(&text));
    let container = container.and_then(|text| of_container(&text));
    machine.into_iter().chain(container).min()
}

/// Parses the kernel's `MemTotal:  24683116 kB`.
fn of_machine(meminfo: &str) -> Option<u64> {
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes >> 10)
}

/// Parses a number of bytes, or `max`: no limit.
fn of_container(memory_max: &str) -> Option<u64> {
    let bytes: u64 = memory_max.trim().parse().ok()?;
    Some(bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_much_there_is() {
        let meminfo = "MemTotal:       24683116 kB\nMemFree:          331024 kB\n";
        assert_eq!(of_machine(meminfo), Some(24104));
        assert_eq!(of_machine("MemFree: 1 kB"), None);
        assert_eq!(of_container("536870912\n"), Some(512));
        assert_eq!(of_container("max\n"), None);
    }
}
