//! Model backends of loopscope: the built-in dummies, models at servers, and native inference.
//!
//! [`ModelRegistry`] is the way in: it knows every model by name, describes it, and loads it. What a model does once
//! loaded is behind the traits of `loopscope_core::backend`; nothing here writes to a store or draws chance that did
//! not come in as a seed. Clocks are read for one thing only: how long to wait for a server, and between calls of it.
//!
//! Features: `http` (models at servers, the default), `candle` (native inference), `hub` (downloads of checkpoints).

#[cfg(feature = "candle")]
mod candle;
mod dummy;
mod family;
#[cfg(feature = "http")]
mod http;
mod hub;
mod registry;

#[cfg(feature = "http")]
#[doc(hidden)]
pub use http::read_any_answer;
pub use hub::{PullError, PullEvent, Pulled, pull};
pub use registry::{BuiltinRegistry, Listing, ModelRegistry, ModelsFileError, Price, State};
