//! The chunked coding of an answer's body. <https://www.rfc-editor.org/rfc/rfc9112#section-7.1>
//!
//! # Invariants
//! - Data is given as it came, uncopied.
//! - Nothing that the server sends makes it keep more than a line.

use bytes::{Buf as _, Bytes};

use super::Error;

/// The longest line: a chunk's size and its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 8 << 10;
/// All trailers together.
const TRAILER_BYTES_MAX: usize = 64 << 10;

/// Where in the coding a body is.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    next: Next,
    /// The beginning of a line whose rest is still to come.
    line: Vec<u8>,
    trailer_bytes: usize,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Size,
    Data(u64),
    /// The line's end behind a chunk.
    Border,
    Trailer,
    End,
}

impl Chunked {
    pub(super) fn is_over(&self) -> bool {
        self.next == Next::End
    }

    /// The next data of `input`; `None` where there is none in it, and at the end, behind which nothing
    /// is taken.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Error> {
        self.skip(input)?;
        let Next::Data(left) = &mut self.next else { return Ok(None) };
        let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        *left -= fits as u64;
        if *left == 0 {
            self.next = Next::Border;
        }
        Ok(Some(input.split_to(fits)).filter(|data| !data.is_empty()))
    }

    /// Takes what stands in front of the next data, or at the end.
    pub(super) fn skip(&mut self, input: &mut Bytes) -> Result<(), Error> {
        while !input.is_empty() && !matches!(self.next, Next::Data(_) | Next::End) {
            self.take_line(input)?;
        }
        Ok(())
    }

    /// Takes up to the end of a line, and acts on it where it came.
    fn take_line(&mut self, input: &mut Bytes) -> Result<(), Error> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let part = end.map_or(input.len(), |end| end + 1);
        if self.line.len() + part > LINE_BYTES_MAX {
            return Err(Error::Answer("a line of its chunked body is too long"));
        }
        self.line.extend_from_slice(&input[..part]);
        input.advance(part);
        if end.is_none() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r'));
        let line = line.ok_or(Error::Answer("a line of its chunked body ends in another way"))?;
        self.next = match self.next {
            Next::Size => match size(line)? {
                0 => Next::Trailer,
                size => Next::Data(size),
            },
            Next::Border if line.is_empty() => Next::Size,
            Next::Trailer if line.is_empty() => Next::End,
            Next::Trailer => {
                self.trailer_bytes += line.len();
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err(Error::Answer("its trailers are too long"));
                }
                Next::Trailer
            }
            _ => return Err(Error::Answer("a chunk of its body is longer than it says")),
        };
        Ok(())
    }
}

/// A chunk's size, in front of its extensions.
fn size(line: &[u8]) -> Result<u64, Error> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, extensions) = line.split_at(end);
    let is_extended = extensions.trim_ascii_start().first().is_none_or(|&byte| byte == b';');
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_extended)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(Error::Answer("a chunk of its body has no size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), Error> {
        let (mut chunked, mut data, mut over) = (Chunked::default(), Vec::new(), 0);
        for piece in pieces {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(bytes) = chunked.next(&mut input)? {
                data.extend_from_slice(&bytes);
            }
            over += input.len();
        }
        Ok((data, chunked.is_over(), over))
    }

    #[test]
    fn a_body_is_the_same_wherever_it_is_split() {
        let body =
            b"5\r\nhello\r\n00A;name=\"value\"\r\n, chunked \r\n1 \r\n!\r\n0\r\nx: y\r\n\r\n";
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let pieces = [&body[..first], &body[first..second], &body[second..]];
                let (data, is_over, over) = decoded(&pieces).expect("well-formed");
                assert_eq!((data.as_slice(), is_over, over), (&b"hello, chunked !"[..], true, 0));
            }
        }
    }

    #[test]
    fn a_body_is_over_where_it_says_and_not_before() {
        let body = b"3\r\nabc\r\n0\r\n\r\n";
        for end in 0..body.len() {
            assert!(!decoded(&[&body[..end]]).expect("well-formed").1, "{end}");
        }
        assert_eq!(decoded(&[b"0\r\n\r\nHTTP/1.1"]).expect("well-formed"), (vec![], true, 8));
    }

    /// Who takes another end for a chunk's takes somebody's bytes for an answer.
    #[test]
    fn what_is_not_chunked_is_an_error() {
        for body in [
            &b"\r\n"[..],
            b"g\r\n",
            b"-1\r\n",
            b"+1\r\na\r\n",
            b"0x1\r\na\r\n",
            b"1\na\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"1 1\r\na\r\n",
            b"1;\rx\r\na\r\n",
            b"10000000000000000\r\n",
        ] {
            assert!(decoded(&[body]).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn lines_and_trailers_have_an_end() {
        let long = vec![b'0'; LINE_BYTES_MAX + 1];
        assert!(decoded(&[&long]).is_err());
        let mut trailers = b"0\r\n".to_vec();
        trailers.extend(b"name: value\r\n".repeat(TRAILER_BYTES_MAX / 10));
        assert!(decoded(&[&trailers]).is_err());
    }
}
