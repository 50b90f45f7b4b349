//! Health: what the worker answers on `/readyz` and `/status`.

use super::current::Current;
use super::receivers::SourceBoard;
use super::status::StatusBoard;
use corridor_intake::http::Health;
use std::sync::Arc;

/// Reads the boards of the worker.
pub struct WorkerHealth {
    name: String,
    board: Arc<StatusBoard>,
    sources: Arc<SourceBoard>,
    current: Arc<Current>,
}

impl WorkerHealth {
    /// For the worker of this name.
    pub fn new(
        name: &str,
        board: &Arc<StatusBoard>,
        sources: &Arc<SourceBoard>,
        current: &Arc<Current>,
    ) -> Self {
        let (board, sources, current) = (Arc::clone(board), Arc::clone(sources), Arc::clone(current));
        Self { name: name.into(), board, sources, current }
    }
}

impl Health for WorkerHealth {
    fn unready_reasons(&self) -> Vec<String> {
        let mut reasons = self.board.problems();
        reasons.extend(self.sources.problems());
        reasons
    }

    fn status(&self) -> serde_json::Value {
        let version = self.current.context().directory.version().map(String::from);
        let mut report = self.board.report(&self.name, version);
        report.sources = self.sources.report();
        serde_json::to_value(report).unwrap_or_default()
    }
}
