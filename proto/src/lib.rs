//! The gRPC contract of causeway, generated from `proto/causeway/v1/control.proto`.
//!
//! Nothing here is written by hand but this page: the `.proto` file is the reference, and every
//! field's meaning and unit is documented there. `API.md` shows the same on one page.

/// Version 1 of the control API.
pub mod v1 {
    #![allow(
        missing_debug_implementations,
        unused_qualifications,
        clippy::all,
        clippy::pedantic,
        reason = "generated code"
    )]
    tonic::include_proto!("causeway.v1");

    /// The compiled descriptors, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/causeway_descriptor.bin"));
}
