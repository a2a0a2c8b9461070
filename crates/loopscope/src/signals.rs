//! What a process does when it is asked to end: the first signal saves, the second quits.
//!
//! A signal that was ignored when the process began stays ignored: `nohup` ignores the hang-up, and a shell ignores
//! Ctrl-C for what a script starts in the background. Whoever did that wants the work to go on.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// How a process ends at the second signal.
const EXIT_CODE: i32 = 130;

/// Sets a flag at the first interrupt, termination or hang-up, and quits at the second: every commit so far is durable.
///
/// # Errors
///
/// When the system does not let us listen.
pub(crate) fn stop_on_signal() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let ignored = ignored_signals(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if ignored & (1 << (signal - 1)) == 0 {
            // In this order: the flag that the second signal finds set is set by the first one only.
            flag::register_conditional_shutdown(signal, EXIT_CODE, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
    }
    Ok(stop)
}

/// Returns the signals that a process ignores as bits, signal 1 lowest, from what Linux says of the process.
///
/// Asking the system itself takes unsafe code. Where there is no such file, or no such line, none counts as ignored.
fn ignored_signals(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status = "Name:\tloopscope\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_signals(status), 0x1001);
        assert_eq!(ignored_signals(""), 0);
        assert_eq!(ignored_signals("SigIgn:\twhat\n"), 0);
    }
}
