//! Helpers of the end-to-end tests.

pub mod canary;
pub mod emulator;
pub mod evidence;
pub mod landed;
pub mod program;
pub mod python;
pub mod small_disk;
