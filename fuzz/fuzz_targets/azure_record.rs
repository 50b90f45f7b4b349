//! Bytes of the Azure side: no panic, every record leaves once, no planted secret comes out.
#![no_main]

use corridor_fuzz::refine_with_canary;
use corridor_model::Side;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| refine_with_canary(Side::Azure, bytes));
