//! Model backends.
