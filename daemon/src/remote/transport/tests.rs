//! The transport against servers that say what they are told to, byte by byte.

mod arbitrary;
mod bytes_over_tls;
mod connections;
mod framing;
mod peer;
mod uploads;
