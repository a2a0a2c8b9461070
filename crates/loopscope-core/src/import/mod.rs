//! Carrying records of other programs into the store.

pub mod legacy;
