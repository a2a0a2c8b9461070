//! Model backends of loopscope: today the built-in dummies, later remote and local inference.
//!
//! [`BuiltinRegistry`] is the way in: it knows every model by name, describes it, and loads it. What a model does
//! once loaded is behind the traits of `loopscope_core::backend`; nothing here writes to a store, reads a clock, or
//! draws chance that did not come in as a seed.

#[cfg(feature = "candle")]
#[cfg_attr(not(test), expect(dead_code, reason = "the registry of files on disk is the caller, and is not here yet"))]
mod candle;
mod dummy;
#[cfg_attr(not(test), expect(dead_code, reason = "the registry of files on disk is the caller, and is not here yet"))]
mod family;
mod registry;

pub use registry::BuiltinRegistry;
