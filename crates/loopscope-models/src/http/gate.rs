//! When an endpoint may be called: no faster than its rate, and not while its server has asked for a pause.
//!
//! All threads of an endpoint share its gate, so that one answer "too many requests" quiets all of them instead of being
//! given to each.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a thread waits at a gate that a server has shut; a longer pause is handed to the engine at once, which waits
/// without a thread.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause that is believed.
const PAUSE_MAX: Duration = Duration::from_secs(600);

pub(super) struct Gate {
    /// Between the starts of two calls.
    interval: Duration,
    state: Mutex<State>,
}

struct State {
    /// When the next call may start.
    next: Instant,
    /// Until when the server wants none.
    shut_until: Instant,
}

impl Gate {
    pub(super) fn new(requests_per_minute: Option<f64>) -> Self {
        let interval = requests_per_minute.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(60.0 / rate));
        let now = Instant::now();
        Self { interval, state: Mutex::new(State { next: now, shut_until: now }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call may start.
    ///
    /// # Errors
    ///
    /// How much longer the server wants none, when that is longer than a thread should wait.
    pub(super) fn wait(&self) -> Result<(), Duration> {
        let patience = Instant::now() + PATIENCE;
        loop {
            // Another thread's answer may lengthen the pause meanwhile, or begin one while this thread waits for its turn.
            let shut_until = self.lock().shut_until;
            let pause = shut_until.saturating_duration_since(Instant::now());
            if shut_until > patience {
                return Err(pause);
            }
            if !pause.is_zero() {
                sleep(pause);
                continue;
            }
            let start = {
                let mut state = self.lock();
                let start = state.next.max(Instant::now());
                state.next = start + self.interval;
                start
            };
            sleep(start.saturating_duration_since(Instant::now()));
            if self.lock().shut_until <= Instant::now() {
                return Ok(());
            }
        }
    }

    /// Shuts the gate, because a server asked for it.
    pub(super) fn shut(&self, pause: Duration) {
        let until = Instant::now() + pause.min(PAUSE_MAX);
        let mut state = self.lock();
        state.shut_until = state.shut_until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_keeps_its_rate_and_a_servers_pause() {
        // Only lower bounds: a slow machine may wait longer, never shorter.
        let gate = Gate::new(Some(6000.0));
        let began = Instant::now();
        for _ in 0..4 {
            gate.wait().unwrap();
        }
        assert!(began.elapsed() >= Duration::from_millis(30));
        let began = Instant::now();
        gate.shut(Duration::from_millis(20));
        gate.wait().unwrap();
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_pause_that_grows_while_a_thread_waits_holds_it_for_all_of_it() {
        let gate = Gate::new(None);
        let began = Instant::now();
        gate.shut(Duration::from_millis(40));
        std::thread::scope(|scope| {
            scope.spawn(|| gate.shut(Duration::from_millis(120)));
            gate.wait().unwrap();
        });
        assert!(began.elapsed() >= Duration::from_millis(120));
        gate.shut(PATIENCE * 2);
        assert!(gate.wait().unwrap_err() > PATIENCE, "handed over at once");
    }
}
