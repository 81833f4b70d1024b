//! Benches of causeway's data path; see `benches/`.
//!
//! `cargo bench -p benches --profile dist` measures what the packages ship. The numbers that
//! decided the design, of the whole path over TLS on both sides, come from the sandbox: what is here
//! tells which of its pieces a change made slower.
