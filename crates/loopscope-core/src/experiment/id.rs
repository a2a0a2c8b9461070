//! Identities: RFC 9562 UUIDs of version 7, one type for each kind of object.
//!
//! An id is 16 bytes in the store and hyphenated text for people; its short form is the last 8 hexadecimal digits,
//! because the first ones are time. Ids that came from elsewhere are kept as they are and never decoded, and nothing
//! is ordered by id.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use uuid::Uuid;

use super::Timestamp;

/// Where random bytes come from: the operating system, or a seed in tests.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes.
    ///
    /// # Errors
    ///
    /// When the source cannot give any, which on the systems we run on means that the process may open no file.
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()>;
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        getrandom::fill(bytes).map_err(|error| std::io::Error::other(error.to_string()))
    }
}

/// A reproducible source for tests: BLAKE3 of a seed and a counter. Not for anything that must be unguessable.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<(u64, u64)>);

impl SeededEntropy {
    /// Returns the source of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new((seed, 0)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        let mut state = self.0.lock().map_err(|_| std::io::Error::other("a thread panicked while drawing"))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&state.0.to_le_bytes()).update(&state.1.to_le_bytes());
        hasher.finalize_xof().fill(bytes);
        state.1 += 1;
        Ok(())
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Returns a new id of version 7 that carries `now` in milliseconds.
            ///
            /// # Errors
            ///
            /// When `entropy` has none.
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> std::io::Result<Self> {
                let mut random = [0; 10];
                entropy.fill(&mut random)?;
                let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
                Ok(Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()))
            }

            /// Returns the id with these 16 bytes, whatever they are.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Returns the 16 bytes that the store holds.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Returns the short form that people see and type: the last 8 hexadecimal digits.
            #[must_use]
            pub fn short(&self) -> String {
                let hex = self.0.simple().to_string();
                hex[24..].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}

ids! {
    /// Names an experiment.
    ExperimentId,
    /// Names a run.
    RunId,
    /// Names an invocation.
    InvocationId,
    /// Names a model version.
    ModelVersionId,
    /// Names an embedding.
    EmbeddingId,
    /// Names a persistence diagram.
    PersistenceDiagramId,
    /// Names a clustering result.
    ClusteringResultId,
    /// Names the membership of one embedding in one clustering.
    EmbeddingClusterId,
    /// Names a failure.
    FailureId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuid_version_7_and_show_their_last_digits() {
        let id = RunId::new(Timestamp::from_micros(1_700_000_000_123_456), &SeededEntropy::new(1)).unwrap();
        let uuid = Uuid::from_bytes(*id.as_bytes());
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(uuid.get_timestamp().unwrap().to_unix(), (1_700_000_000, 123_000_000));
        assert!(id.to_string().ends_with(&id.short()));
        assert_eq!(id.short().len(), 8);
        assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
    }

    #[test]
    fn two_draws_differ() {
        let entropy = SeededEntropy::new(7);
        let now = Timestamp::from_micros(0);
        assert_ne!(RunId::new(now, &entropy).unwrap(), RunId::new(now, &entropy).unwrap());
    }
}
