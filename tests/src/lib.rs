//! Helpers of the end-to-end tests.

pub mod broker;
pub mod canary;
pub mod emulator;
pub mod evidence;
pub mod issuer;
pub mod landed;
pub mod program;
pub mod python;
pub mod small_disk;
