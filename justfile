# List what there is to run.
default:
    @just --list

# Everything that CI checks.
check:
    .ci/run

# The tests.
test:
    cargo test --workspace

# Lints, as CI has them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation of all crates.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The demo, in a database of its own.
demo:
    cargo run --release -- demo

# Benchmarks.
bench:
    cargo bench --workspace

# The long form of the crash programme, or one section of it: `just soak power 200`.
soak *arguments:
    .ci/soak {{arguments}}
