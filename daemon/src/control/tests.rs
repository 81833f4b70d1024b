//! The service over a real ledger and a real Unix socket, with a client of its own API.

mod acting;
mod harness;
mod images;
mod listing;
mod pki;
mod secured;
mod serving;
mod submitting;
mod watching;
