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

# Measure the relay beside bare forwarders, and write docs/figures/performance.md (minutes; let nothing else run)
figures: (figures-page "performance" "baseline")

# Measure the relay beside other buses and brokers, and write docs/figures/comparison.md (a quarter of an hour; let nothing else run)
competitors: (figures-page "comparison" "competitors")

# Measure what some plugins cost others, and write docs/figures/credit.md (minutes; let nothing else run)
figures-credit: (figures-page "credit" "credit")

# Measure what bystanders lose by attacks, and write docs/figures/attacks.md (minutes; let nothing else run)
figures-attacks: (figures-page "attacks" "attacks")

# Writes a page of figures whole; the old one stays if the measurement fails
[private]
figures-page page measurement:
    cargo build --release -p bench
    printf '# Figures: %s\n\n' {{page}} > target/{{page}}.md
    printf 'For people who compare or reproduce: the raw tables of `bench %s`. ' {{measurement}} >> target/{{page}}.md
    printf 'What they mean, how they were measured and what bounds\nthem is in [%s.md](../%s.md).\n\n' {{page}} {{page}} >> target/{{page}}.md
    target/release/bench {{measurement}} --markdown >> target/{{page}}.md
    sed 's/^### /## /' target/{{page}}.md > docs/figures/{{page}}.md
    rm target/{{page}}.md
