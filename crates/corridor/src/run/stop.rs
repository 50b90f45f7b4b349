//! Stop: how the parts of a worker learn that they shall end.
//!
//! - In: one call.
//! - Out: a future that is ready from then on, for every holder.

use tokio::sync::watch;

/// Asks others to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Tells its holder when to stop. A stopper that is gone stops as well.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A new pair.
pub fn stopper() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks every holder to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Ready when it is asked.
    pub async fn asked(&mut self) {
        // An error says that the stopper is gone.
        let _ = self.0.wait_for(|is_asked| *is_asked).await;
    }
}

/// Ready when the process gets SIGTERM or SIGINT.
pub async fn signalled() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
