//! An input as pieces: bytes that choose, and messages with their lengths before them.

/// What is left of an input.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'a>(pub &'a [u8]);

impl<'a> Cut<'a> {
    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next piece, whose length stands before it in two bytes, the lower first; the rest where there is
    /// less. `None` at the end.
    pub fn piece(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let len = u16::from_le_bytes([self.byte(), self.byte()]);
        let (piece, rest) = self.0.split_at(self.0.len().min(usize::from(len)));
        self.0 = rest;
        Some(piece)
    }

    /// All further pieces, so many at most.
    pub fn pieces(&mut self, most: usize) -> Vec<&'a [u8]> {
        std::iter::from_fn(|| self.piece()).take(most).collect()
    }
}
