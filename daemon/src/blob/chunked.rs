//! The aws-chunked framing of a part, with its CRC64NVME as a trailer.
//!
//! The SDK's own framing buffers each chunk, copies it twice and hashes it once more. A part's length is
//! known before its first byte and its checksum when the last has passed, so frames can go through as
//! they are, between a few bytes of framing.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use aws_runtime::auth::PayloadSigningOverride;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;

use crate::model::digest::crc64nvme_to_base64;

/// S3 takes chunks from 8 KiB; servers exist that refuse them above 16 MiB.
const CHUNK_BYTES: u64 = 1 << 20;
const TRAILER: &str = "x-amz-checksum-crc64nvme";

/// Where in the framing a body of known length is.
#[derive(Debug)]
pub(super) struct Chunked {
    /// Bytes of data that are still to come.
    left: u64,
    /// Those of the chunk that is open.
    in_chunk: u64,
    begun: bool,
}

impl Chunked {
    /// For `len` bytes of data.
    pub(super) fn new(len: u64) -> Self {
        Self { left: len, in_chunk: 0, begun: false }
    }

    /// What `len` bytes become.
    pub(super) fn encoded_len(len: u64) -> u64 {
        let chunk = |len: u64| format!("{len:x}").len() as u64 + 4 + len;
        let (whole, rest) = (len / CHUNK_BYTES, len % CHUNK_BYTES);
        let chunks = whole * chunk(CHUNK_BYTES) + if rest > 0 { chunk(rest) } else { 0 };
        // Without data, the border before the end is not there.
        let end = end(0, true).len() as u64;
        chunks + end
    }

    /// What stands before the next byte of data; `None` inside a chunk, and after the last byte.
    pub(super) fn border(&mut self) -> Option<Bytes> {
        if self.in_chunk > 0 || self.left == 0 {
            return None;
        }
        self.in_chunk = self.left.min(CHUNK_BYTES);
        let close = if std::mem::replace(&mut self.begun, true) { "\r\n" } else { "" };
        Some(Bytes::from(format!("{close}{:x}\r\n", self.in_chunk)))
    }

    /// As much of `frame` as the open chunk takes.
    pub(super) fn data(&mut self, frame: &mut Bytes) -> Bytes {
        let fits = usize::try_from(self.in_chunk).unwrap_or(usize::MAX).min(frame.len());
        self.in_chunk -= fits as u64;
        self.left -= fits as u64;
        frame.split_to(fits)
    }

    /// What stands after the last byte of data.
    pub(super) fn end(&self, crc64nvme: u64) -> Bytes {
        Bytes::from(end(crc64nvme, !self.begun))
    }
}

fn end(crc64nvme: u64, is_empty: bool) -> String {
    let close = if is_empty { "" } else { "\r\n" };
    format!("{close}0\r\n{TRAILER}:{}\r\n\r\n", crc64nvme_to_base64(crc64nvme))
}

/// Says in the request's head that its body is framed so, and has that signed.
#[derive(Debug)]
pub(super) struct Announce {
    /// Bytes of data.
    pub(super) len: u64,
}

impl Intercept for Announce {
    fn name(&self) -> &'static str {
        "Announce"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        headers.insert("content-encoding", "aws-chunked");
        headers.insert("x-amz-decoded-content-length", self.len.to_string());
        headers.insert("x-amz-sdk-checksum-algorithm", "CRC64NVME");
        headers.insert("x-amz-trailer", TRAILER);
        let signing = PayloadSigningOverride::StreamingUnsignedPayloadTrailer;
        config.interceptor_state().store_put(signing);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of a body, given in frames of `frame` bytes.
    fn framed(data: &[u8], frame: usize, crc: u64) -> Vec<u8> {
        let mut framing = Chunked::new(data.len() as u64);
        let mut all = Vec::new();
        for piece in data.chunks(frame.max(1)) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() {
                all.extend(framing.border().unwrap_or_default());
                all.extend(framing.data(&mut piece));
            }
        }
        assert_eq!(framing.border(), None);
        all.extend(framing.end(crc));
        all
    }

    /// The length is announced before the first byte: one off, and the server waits for ever.
    #[test]
    fn a_body_is_as_long_as_was_announced_and_gives_its_data_back() {
        let chunk = usize::try_from(CHUNK_BYTES).expect("small");
        for len in [0, 1, 15, 16, 8191, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 77] {
            let data: Vec<u8> = (0..=250).cycle().take(len).collect();
            for frame in [977, chunk / 2 + 1, 5 * chunk] {
                let all = framed(&data, frame, 0x0102_0304_0506_0708);
                assert_eq!(all.len() as u64, Chunked::encoded_len(len as u64), "{len}");
                let (back, trailer) = unframed(&all);
                assert!(back == data, "{len} in frames of {frame}");
                assert_eq!(trailer, "x-amz-checksum-crc64nvme:AQIDBAUGBwg=\r\n\r\n");
            }
        }
    }

    /// By the letter of the format, and nothing of the code above.
    fn unframed(mut all: &[u8]) -> (Vec<u8>, String) {
        let mut data = Vec::new();
        loop {
            let line = all.windows(2).position(|two| two == b"\r\n").expect("a size");
            let size = std::str::from_utf8(&all[..line]).expect("digits");
            let size = usize::from_str_radix(size, 16).expect("hexadecimal");
            all = &all[line + 2..];
            if size == 0 {
                return (data, String::from_utf8(all.to_vec()).expect("text"));
            }
            data.extend_from_slice(&all[..size]);
            assert_eq!(&all[size..size + 2], b"\r\n");
            all = &all[size + 2..];
        }
    }
}
