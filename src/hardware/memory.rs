//! The most memory this process has held. Unit: bytes.

/// The peak resident set of this process so far in bytes; 0 where the system does not tell.
///
/// Linux says it in `/proc/self/status` (`VmHWM`); elsewhere, or where that is not mounted, `getrusage` does. The
/// kernel counts in pages by processor, so a later answer may be some tens of KiB lower.
pub fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    high_water_mark(&status).or_else(peak_by_rusage).unwrap_or(0)
}

/// Resets the peak: from here on it is that of what comes, where the system offers this (Linux).
pub fn forget_peak() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: gives memory that was freed back to the system.
    unsafe {
        libc::malloc_trim(0);
    }
    // 5 resets the peak resident set; where the file is not there, the peak stays the process's.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Bytes of memory that programs may still take without swapping; what there is in all, where the system does not tell.
pub fn available_bytes() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    kilobytes("MemAvailable:").or_else(|| kilobytes("MemTotal:")).unwrap_or(1 << 22) * 1024
}

/// The line `VmHWM: 123456 kB`, in bytes.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(unix)]
fn peak_by_rusage() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage writes one rusage to the valid pointer it is given; all of its fields are integers, for which
    // zero is a value.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    // macOS counts bytes, the others KiB.
    let unit = if cfg!(any(target_os = "macos", target_os = "ios")) { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).ok()?.checked_mul(unit)
}

#[cfg(not(unix))]
fn peak_by_rusage() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        assert_eq!(high_water_mark("Name:\trehead\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2048 * 1024));
        assert_eq!(high_water_mark("VmHWM:\n"), None);
        assert_eq!(high_water_mark(""), None);
    }

    #[cfg(unix)]
    #[test]
    fn the_peak_stays_when_memory_is_given_back() {
        let touched = std::hint::black_box(vec![1_u8; 32 << 20]);
        let peak = peak_resident_bytes();
        drop(touched);
        let nearly = |bytes: u64| bytes + (1 << 20);
        assert!(nearly(peak) >= 32 << 20);
        assert!(nearly(peak_resident_bytes()) >= peak);
        assert!(peak_by_rusage().is_some_and(|bytes| nearly(bytes) >= 32 << 20));
    }
}
