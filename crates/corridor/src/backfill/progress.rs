//! Progress: a bar with rate and remaining time on a terminal, plain lines otherwise; always on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time between plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// What the numbers of a stage count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes as stored.
    Bytes,
    /// Hours of event time.
    Hours,
}

/// The progress of one stage.
pub struct Progress {
    name: &'static str,
    unit: Unit,
    total: u64,
    bar: ProgressBar,
    started: Instant,
    plain: Option<Mutex<Instant>>,
}

impl Progress {
    /// Starts a stage of `total` units.
    pub fn start(name: &'static str, unit: Unit, total: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            Some(total),
            if is_terminal { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() },
        );
        let template = match unit {
            Unit::Bytes => "{prefix:8} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}",
            Unit::Hours => "{prefix:8} {bar:30} {pos}/{len} hours {per_sec} ETA {eta}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(name);
        let started = Instant::now();
        Self { name, unit, total, bar, started, plain: (!is_terminal).then(|| Mutex::new(started)) }
    }

    /// `count` more units are done.
    pub fn advance(&self, count: u64) {
        self.bar.inc(count);
        let Some(last) = &self.plain else { return };
        let Ok(mut last) = last.try_lock() else { return };
        if last.elapsed() >= LINE_INTERVAL {
            *last = Instant::now();
            eprintln!("{}", self.line());
        }
    }

    /// The stage is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        if self.plain.is_some() {
            eprintln!("{}", self.line());
        }
    }

    fn line(&self) -> String {
        let (done, seconds) = (self.bar.position(), self.started.elapsed().as_secs_f64());
        let rate = done as f64 / seconds.max(0.001);
        let left = self.total.saturating_sub(done) as f64 / rate.max(0.001);
        match self.unit {
            Unit::Bytes => format!(
                "{}: {:.1} of {:.1} MB, {:.1} MB/s, {left:.0} s left",
                self.name,
                done as f64 / 1e6,
                self.total as f64 / 1e6,
                rate / 1e6
            ),
            Unit::Hours => {
                format!("{}: {done} of {} hours, {rate:.1} hours/s, {left:.0} s left", self.name, self.total)
            }
        }
    }
}
