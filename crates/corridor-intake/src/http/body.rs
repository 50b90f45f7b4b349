//! Body: reads one request body whole, within its limits.
//!
//! - In: the frames of a body and its declared encoding; the permit for its memory.
//! - Out: the plain bytes, with a defect if they are not all; or why the body cannot be taken.
//! - Keeps: the plain bytes.
//! - Invariants: memory beyond the permit is at most what one [`SLICE_BYTES`] inflates to. A body that ends before its
//!   announced length yields nothing.

use super::admission::Permit;
use super::inflate::Inflater;
use crate::delivery::Defect;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;

/// Compressed bytes inflated at a stretch: at the worst ratio of gzip they make 4 MiB.
const SLICE_BYTES: usize = 4096;
/// Of a body over the limit this many times the limit is read and dropped, so that its sender reads the answer.
const DRAIN_FACTOR: u64 = 4;

/// How large a body may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) body_bytes_max: u64,
    pub(super) inflated_bytes_max: u64,
}

/// What a request said about its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    pub(super) encoding: String,
    /// `content-length`; unknown for chunks.
    pub(super) length: Option<u64>,
}

/// A body that may be acknowledged.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) defect: Option<Defect>,
    /// Bytes as they were sent.
    pub(super) sent_bytes: u64,
    /// The rest of the body was not read: the connection cannot be used again.
    pub(super) must_close: bool,
}

/// A body that nobody has.
#[derive(Debug)]
pub(super) enum NotReceived {
    /// No memory for it now.
    Full,
    /// It ended before its announced length, or is no HTTP.
    Cut(String),
}

/// Reads to the end. The caller sets the time limit.
pub(super) async fn receive(
    mut body: Body,
    declared: &Declared,
    limits: &BodyLimits,
    permit: &mut Permit,
) -> Result<Received, NotReceived> {
    let size_hint = declared.length.unwrap_or(0).min(limits.body_bytes_max);
    let mut inflater = Inflater::new(&declared.encoding, limits, usize::try_from(size_hint).unwrap_or(0));
    let mut sent_bytes = 0u64;
    let mut must_close = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| NotReceived::Cut(error.to_string()))?;
        let Ok(piece) = frame.into_data() else { continue };
        let room = usize::try_from(limits.body_bytes_max.saturating_sub(sent_bytes)).unwrap_or(usize::MAX);
        sent_bytes = sent_bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        take(&mut inflater, &piece[..piece.len().min(room)], permit).await?;
        if piece.len() > room {
            inflater.overflow_as_sent();
        }
        if inflater.is_broken() && sent_bytes > limits.body_bytes_max.saturating_mul(DRAIN_FACTOR) {
            must_close = true;
            break;
        }
    }
    let (bytes, defect) = inflater.finish();
    Ok(Received { bytes: Bytes::from(bytes), defect, sent_bytes, must_close })
}

/// Inflates a piece slice by slice, so that memory is accounted for and other requests get their turn.
async fn take(inflater: &mut Inflater<'_>, piece: &[u8], permit: &mut Permit) -> Result<(), NotReceived> {
    for slice in piece.chunks(SLICE_BYTES) {
        if inflater.is_broken() {
            return Ok(());
        }
        let before = inflater.held_bytes();
        inflater.push(slice);
        let after = inflater.held_bytes();
        if after != before {
            permit.grow_to(after).map_err(|_| NotReceived::Full)?;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Reads and drops a refused body while it is short, so that its sender gets the answer and not a broken connection.
pub(super) async fn drain(mut body: Body, bytes_max: usize) {
    let mut drained = 0usize;
    while let Some(Ok(frame)) = body.frame().await {
        drained = drained.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if drained > bytes_max {
            return;
        }
    }
}
