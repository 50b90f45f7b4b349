//! stub

pub mod store;

pub mod landing;
