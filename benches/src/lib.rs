//! Benchmarks: `whole_job.sh` against DuckDB, `parse_only` as its floor, and Criterion for the parts. See README.md.
