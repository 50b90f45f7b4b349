//! Helpers of the end-to-end tests.

pub mod evidence;
pub mod python;
