//! Benches of causeway's data path; see `benches/`.
//!
//! `cargo bench -p benches --profile dist` measures pieces: it tells which of them a change made slower.
//! The whole path over TLS on both sides, beside other tools, is measured by `benches/compare`; see
//! `README.md`.
