//! Chunked framing, taken apart as it comes: HTTP's own, and S3's `aws-chunked`, which looks the same
//! but for extensions that may sign each chunk. botocore sends the one inside the other.

use std::io;

/// Lines are short: a size and a signature, or a trailer.
const LINE_MAX: usize = 4096;

/// Where in the framing the next byte is.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// In the line that gives a chunk's size.
    Size,
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// In the line end that follows a chunk.
    DataEnd,
    /// In a line behind the last chunk.
    Trailer,
    Done,
}

/// Takes framing off.
#[derive(Debug)]
pub struct Dechunker {
    state: State,
    line: Vec<u8>,
    /// Name and value; names in lower case.
    pub trailers: Vec<(String, String)>,
}

impl Dechunker {
    pub fn new() -> Self {
        Self { state: State::Size, line: Vec::new(), trailers: Vec::new() }
    }

    /// Whether the end has been seen.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes the next bytes and gives what is data to `take`. Answers how many belong to the framing:
    /// fewer than all when it ends among them.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() && self.state != State::Done {
            if let State::Data(left) = &mut self.state {
                let now = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                let (data, behind) = rest.split_at(now);
                *left -= data.len() as u64;
                if *left == 0 {
                    self.state = State::DataEnd;
                }
                take(data)?;
                rest = behind;
                continue;
            }
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, behind) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            self.line.extend_from_slice(line);
            rest = behind;
            if self.line.len() > LINE_MAX {
                return Err(invalid("a line of framing is too long"));
            }
            if end.is_some() {
                self.take_line()?;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn take_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let line = str::from_utf8(&line).map_err(|_| invalid("framing is not text"))?;
        let line = line.strip_suffix("\r\n").ok_or_else(|| invalid("a line ends without CR"))?;
        self.state = match self.state {
            State::Size => {
                let size = line.split(';').next().unwrap_or_default().trim();
                match u64::from_str_radix(size, 16).map_err(|_| invalid("no chunk size"))? {
                    0 => State::Trailer,
                    size => State::Data(size),
                }
            }
            State::DataEnd if line.is_empty() => State::Size,
            State::DataEnd => return Err(invalid("a chunk is longer than its size")),
            State::Trailer if line.is_empty() => State::Done,
            State::Trailer => {
                let (name, value) = line.split_once(':').ok_or_else(|| invalid("no trailer"))?;
                self.trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                State::Trailer
            }
            State::Data(_) | State::Done => return Err(invalid("a line where none can be")),
        };
        Ok(())
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMED: &[u8] = b"5;chunk-signature=0a1b\r\nhello\r\n7\r\n\r\nworld\r\n\
        0\r\nx-amz-checksum-crc64nvme: AAA=\r\n\r\nGET /next";

    fn decode(framed: &[u8], step: usize) -> io::Result<(Vec<u8>, usize, Dechunker)> {
        let (mut data, mut used, mut dechunker) = (Vec::new(), 0, Dechunker::new());
        for piece in framed.chunks(step) {
            used += dechunker.push(piece, |bytes| {
                data.extend_from_slice(bytes);
                Ok(())
            })?;
        }
        Ok((data, used, dechunker))
    }

    /// Records cut the framing anywhere.
    #[test]
    fn framing_comes_off_wherever_it_is_cut() {
        for step in 1..FRAMED.len() {
            let (data, used, dechunker) = decode(FRAMED, step).expect("well formed");
            assert_eq!(data, b"hello\r\nworld", "cut every {step} bytes");
            assert_eq!(&FRAMED[used..], b"GET /next");
            assert!(dechunker.is_done());
            let trailer = ("x-amz-checksum-crc64nvme".to_owned(), "AAA=".to_owned());
            assert_eq!(dechunker.trailers, [trailer]);
        }
    }

    #[test]
    fn what_is_cut_short_is_not_done_and_what_is_wrong_is_refused() {
        let (_, _, dechunker) = decode(b"5\r\nhello\r\n0\r\n", 3).expect("a beginning");
        assert!(!dechunker.is_done());
        for wrong in [&b"x\r\n"[..], b"5\r\nhellooo\r\n", b"5\nhello", &[b'1'; LINE_MAX + 1]] {
            assert!(decode(wrong, 4).is_err());
        }
    }
}
