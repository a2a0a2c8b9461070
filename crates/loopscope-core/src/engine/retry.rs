//! When a failed attempt is made again.

use std::time::Duration;

/// How often, and after how long, a call that failed in passing is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; at least 1.
    pub attempts_max: u64,
    /// Wait before the second attempt; each further wait is twice the one before.
    pub wait_first: Duration,
    /// No wait of ours is longer.
    pub wait_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts_max: 15, wait_first: Duration::from_millis(500), wait_max: Duration::from_secs(60) }
    }
}

impl RetryPolicy {
    /// Returns how long to wait after attempt number `attempt` (from 1), or `None` when it was the last.
    ///
    /// A server that says how long to wait is heard, up to ten times `wait_max`.
    #[must_use]
    pub fn wait_after(&self, attempt: u64, asked: Option<Duration>) -> Option<Duration> {
        if attempt >= self.attempts_max {
            return None;
        }
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
        let ours = self.wait_first.saturating_mul(1 << doublings).min(self.wait_max);
        Some(asked.map_or(ours, |asked| asked.min(self.wait_max.saturating_mul(10)).max(ours)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let policy = RetryPolicy {
            attempts_max: 5,
            wait_first: Duration::from_millis(100),
            wait_max: Duration::from_millis(300),
        };
        let waits: Vec<_> =
            (1..=5).map(|attempt| policy.wait_after(attempt, None).map(|wait| wait.as_millis())).collect();
        assert_eq!(waits, [Some(100), Some(200), Some(300), Some(300), None]);
        assert_eq!(policy.wait_after(1, Some(Duration::from_secs(2))), Some(Duration::from_secs(2)));
        assert_eq!(policy.wait_after(1, Some(Duration::from_secs(900))), Some(Duration::from_secs(3)));
    }
}
