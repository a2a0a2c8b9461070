//! What the system says of memory. Linux says it; others do not.

/// Returns the most memory that this process has held, in bytes.
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Returns the memory that this process holds, in bytes.
pub(crate) fn held() -> Option<u64> {
    status("VmRSS:")
}

/// Lets [`peak`] start anew from what is held; `None` where the system does not let it.
pub(crate) fn forget_peak() -> Option<()> {
    std::fs::write("/proc/self/clear_refs", "5").ok()
}

/// Returns the memory that the machine has free, in bytes.
pub(crate) fn free() -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn status(key: &str) -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, key)
}

/// Returns the bytes of a line such as `VmHWM:   12 kB`.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_key() {
        let text = "VmPeak:\t  99 kB\nVmHWM:\t  12 kB\nThreads:\t1\n";
        assert_eq!(kibibytes(text, "VmHWM:"), Some(12 << 10));
        assert_eq!(kibibytes(text, "VmRSS:"), None);
        assert_eq!(kibibytes("VmHWM: much", "VmHWM:"), None);
    }
}
