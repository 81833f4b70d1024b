//! The transport against servers that say what they are told to, byte by byte.

mod arbitrary;
mod bytes_over_tls;
mod connections;
mod framing;
mod peer;
mod uploads;

use http::header::EXPIRES;
use http::{HeaderMap, HeaderValue};

/// Found by a fuzzer: a byte of no text there, and the SDK panicked.
#[test]
fn an_expires_that_is_no_text_is_left_out_and_any_other_stays() {
    for (bytes, stays) in [(&b"\xc8"[..], false), (b"never", true), ("\u{e9}".as_bytes(), true)] {
        let value = HeaderValue::from_bytes(bytes).expect("legal in a header");
        let mut headers = HeaderMap::from_iter([(EXPIRES, value)]);
        super::leave_out_illegible(&mut headers);
        assert_eq!(headers.contains_key(EXPIRES), stays, "{bytes:?}");
    }
}
