//! The largest batch of a model that fits: doubled until the model, the memory or the patience ends.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::memory;
use crate::report::{bytes, duration};

/// What was found of the largest batch.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Largest {
    /// The largest that went through; 0 when none did.
    pub(super) batch: usize,
    #[serde(flatten)]
    pub(super) end: End,
}

/// Why no larger batch was tried, or what it came to.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
pub(super) enum End {
    /// The model takes no more.
    Model,
    /// Calls are made at a server, which gets what the models file allows and is not put to a test.
    Server,
    /// The next one would have taken more memory than is free.
    Memory { next: usize, bytes: u64, free: u64 },
    /// The next one would have taken longer than a search may.
    Time { next: usize, seconds: f64 },
    /// It was tried and failed.
    Failed { next: usize, error: String },
}

/// What a call came to.
pub(super) struct Call {
    time: Duration,
    /// How much more memory was held during the call than before it.
    memory: Option<u64>,
}

/// Calls once, and notes time and memory.
pub(super) fn watched(call: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Call> {
    let before = memory::forget_peak().and_then(|()| memory::held());
    let began = Instant::now();
    call()?;
    let time = began.elapsed();
    let memory = before.and_then(|before| Some(memory::peak()?.saturating_sub(before)));
    Ok(Call { time, memory })
}

/// Doubles the batch from `start`, which went through, up to `most`, as long as the next call will fit into the memory that is
/// free and into `patience`, by what the last one took. Calls `start` once more, to see what it takes, where there is a next.
pub(super) fn search(
    start: usize,
    most: usize,
    patience: Duration,
    free: impl Fn() -> Option<u64>,
    mut call: impl FnMut(usize) -> anyhow::Result<Call>,
) -> Largest {
    let (mut batch, mut next, mut last) = (start, start, None::<Call>);
    let end = loop {
        if batch == most {
            break End::Model;
        }
        if let Some(last) = &last {
            let times = next as f64 / batch as f64;
            let time = last.time.mul_f64(times);
            if time > patience {
                break End::Time { next, seconds: time.as_secs_f64() };
            }
            let needed = last.memory.map(|memory| (memory as f64 * times) as u64);
            if let Some((bytes, free)) = needed.zip(free()).filter(|(bytes, free)| bytes > free) {
                break End::Memory { next, bytes, free };
            }
        }
        match call(next) {
            Ok(done) => last = Some(done),
            Err(error) => break End::Failed { next, error: format!("{error:#}") },
        }
        batch = next;
        next = (2 * batch).min(most);
    };
    Largest { batch, end }
}

impl Largest {
    /// Says it in a sentence.
    pub(super) fn told(&self) -> String {
        let why = match &self.end {
            End::Model => "as many as the model takes".to_owned(),
            End::Server => "larger ones are not tried at a server".to_owned(),
            End::Memory { next, bytes: needed, free } => {
                format!("{next} would take about {} of memory, and {} are free", bytes(*needed), bytes(*free))
            }
            End::Time { next, seconds } => format!(
                "{next} would take about {} and was not tried; --seconds gives more time",
                duration(Duration::from_secs_f64(*seconds))
            ),
            End::Failed { next, error } => format!("{next} failed: {error}"),
        };
        format!("largest batch that went through: {}; {why}", self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn took(seconds: u64, memory: Option<u64>) -> anyhow::Result<Call> {
        Ok(Call { time: Duration::from_secs(seconds), memory })
    }

    #[test]
    fn a_batch_grows_to_what_the_model_takes() {
        let mut tried = Vec::new();
        let found = search(
            8,
            50,
            PATIENCE,
            || None,
            |batch| {
                tried.push(batch);
                took(0, None)
            },
        );
        assert_eq!(tried, [8, 16, 32, 50]);
        assert_eq!(found, Largest { batch: 50, end: End::Model });
        let untried = search(1, 1, PATIENCE, || None, |_| panic!("there is no larger one"));
        assert_eq!(untried, Largest { batch: 1, end: End::Model });
    }

    #[test]
    fn a_batch_that_would_not_fit_is_not_tried() {
        let found = search(8, 512, PATIENCE, || Some(1000), |batch| took(0, Some(20 * batch as u64)));
        assert_eq!(found, Largest { batch: 32, end: End::Memory { next: 64, bytes: 1280, free: 1000 } });
        let found = search(1, 512, PATIENCE, || Some(1000), |batch| took(batch as u64, Some(0)));
        assert_eq!(found, Largest { batch: 8, end: End::Time { next: 16, seconds: 16.0 } });
    }

    #[test]
    fn a_batch_that_fails_ends_the_search_with_what_went_through() {
        let call = |batch| if batch > 2 { Err(anyhow::anyhow!("out of memory")) } else { took(0, None) };
        let found = search(1, 512, PATIENCE, || None, call);
        assert_eq!(found, Largest { batch: 2, end: End::Failed { next: 4, error: "out of memory".to_owned() } });
        assert_eq!(found.told(), "largest batch that went through: 2; 4 failed: out of memory");
    }
}
