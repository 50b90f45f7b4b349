//! Ask: what an auditor runs over the lake, and what explains its columns.
//!
//! - In: the column list of `schemas/evidence.toml` (by way of `corridor-lake`) and where the lake is.
//! - Out: the T-SQL for a Synapse serverless SQL pool, the catalogue of evidence queries, the data dictionary.
//! - Keeps: nothing.
//! - Invariants: the same input gives the same text; no I/O, no clock.

pub mod dictionary;
pub mod queries;
pub mod tsql;
