//! Helpers of the end-to-end tests.

pub mod broker;
pub mod canary;
pub mod emulator;
pub mod evidence;
pub mod faulty_proxy;
pub mod issuer;
pub mod landed;
pub mod live_rows;
pub mod live_traffic;
pub mod live_worker;
pub mod plain_http;
pub mod program;
pub mod python;
pub mod small_disk;
