//! Exact Vietoris–Rips persistent homology on a CPU.
