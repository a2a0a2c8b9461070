//! Each model by itself.
