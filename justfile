# The usual commands of this workspace; `just` without a name lists them.

[private]
default:
    @just --list --unsorted

# Run the relay from source: just run --unix /tmp/bus.sock
run *flags:
    cargo run --release -p relay --bin minbusd -- {{flags}}

# Run the tests: just test, just test -p bpmux
test *what='--workspace':
    cargo test {{what}}

# All that a change must pass
check:
    .ci/run

# Licenses and advisories of what we depend on (needs cargo-deny)
deny:
    cargo deny check

# Run the benchmarks
bench *what:
    cargo bench -p bench {{what}}

# Measure the relay beside bare forwarders, and put the figures into docs/performance.md (minutes; let nothing else run)
figures:
    cargo build --release -p bench
    sed -i '/^## Figures$/q' docs/performance.md
    echo >> docs/performance.md
    target/release/bench baseline --markdown >> docs/performance.md

# Measure the relay beside other buses and brokers, and put the figures into docs/comparison.md (a quarter of an hour; let nothing else run)
competitors:
    cargo build --release -p bench
    sed -i '/^## Figures$/q' docs/comparison.md
    echo >> docs/comparison.md
    target/release/bench competitors --markdown >> docs/comparison.md

# Measure what some plugins cost others, and put the figures into docs/credit.md (minutes; let nothing else run)
figures-credit:
    cargo build --release -p bench
    sed -i '/^## Figures$/q' docs/credit.md
    echo >> docs/credit.md
    target/release/bench credit --markdown >> docs/credit.md

# Measure what bystanders lose by attacks, and put the figures into docs/attacks.md (minutes; let nothing else run)
figures-attacks:
    cargo build --release -p bench
    sed -i '/^## Figures$/q' docs/attacks.md
    echo >> docs/attacks.md
    target/release/bench attacks --markdown >> docs/attacks.md
