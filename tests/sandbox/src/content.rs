//! The bytes of an object or a part: in memory, in a file, computed, joined of parts, or dropped.
//!
//! # Invariants
//! - A `Content` never changes; the length it reports is the length it yields.
//! - Reading holds at most two frames in memory, however large the object is.

pub(crate) mod reader;
pub(crate) mod synthetic;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use self::reader::Reader;
use self::synthetic::Synthetic;

/// Immutable bytes, wherever they are.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Memory(Bytes),
    /// A range of a file.
    File {
        /// Kept open, so that the bytes outlive the file's name.
        file: Arc<StoredFile>,
        /// Where in the file the content starts.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// A range of computed bytes.
    Synthetic {
        /// What computes them.
        source: Synthetic,
        /// Where in the computed object the content starts.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// Several contents, one after the other.
    Joined(Arc<[Segment]>),
    /// Bytes that were checked and thrown away; only their number is left.
    Dropped {
        /// Bytes.
        len: u64,
    },
}

/// One piece of a joined content.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Where it starts in the whole.
    pub start: u64,
    /// Its bytes.
    pub content: Content,
}

/// An open file, removed when the last content in it goes, if the sandbox made it.
#[derive(Debug)]
pub struct StoredFile {
    pub(crate) file: File,
    /// Set when the sandbox owns the file and has to remove it.
    pub(crate) owned: Option<PathBuf>,
}

impl Drop for StoredFile {
    fn drop(&mut self) {
        if let Some(path) = &self.owned {
            // The directory may be gone already: the whole work directory is temporary.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Content {
    /// A file that exists already and stays where it is.
    ///
    /// # Errors
    /// When it cannot be opened or measured.
    pub fn from_file(path: &std::path::Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self::File { file: Arc::new(StoredFile { file, owned: None }), offset: 0, len })
    }

    /// Computed bytes, all of them.
    #[must_use]
    pub fn from_synthetic(source: Synthetic) -> Self {
        let len = source.size();
        Self::Synthetic { source, offset: 0, len }
    }

    /// Several contents, one after the other.
    #[must_use]
    pub fn join(contents: Vec<Content>) -> Self {
        let mut start = 0;
        let segments: Vec<Segment> = contents
            .into_iter()
            .map(|content| {
                let segment = Segment { start, content };
                start += segment.content.len();
                segment
            })
            .collect();
        match <[Segment; 1]>::try_from(segments) {
            Ok([only]) => only.content,
            Err(segments) => Self::Joined(segments.into()),
        }
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } | Self::Synthetic { len, .. } | Self::Dropped { len } => *len,
            Self::Joined(segments) => {
                segments.last().map_or(0, |last| last.start + last.content.len())
            }
        }
    }

    /// No bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the bytes can be read: dropped ones cannot.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        match self {
            Self::Dropped { .. } => false,
            Self::Joined(segments) => segments.iter().all(|segment| segment.content.is_readable()),
            Self::Memory(_) | Self::File { .. } | Self::Synthetic { .. } => true,
        }
    }

    /// The bytes of `range`, which has to lie inside the content, as a content of their own.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Self {
        let mut leaves = Vec::new();
        self.collect_leaves(range, &mut leaves);
        Self::join(leaves.into_iter().map(|(leaf, range)| leaf.narrowed(&range)).collect())
    }

    /// A leaf's range as a leaf.
    fn narrowed(self, range: &Range<u64>) -> Self {
        let len = range.end - range.start;
        match self {
            Self::Memory(bytes) => {
                // Both bounds lie inside `bytes`, whose length is a usize.
                let bound = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
                Self::Memory(bytes.slice(bound(range.start)..bound(range.end)))
            }
            Self::File { file, offset, .. } => {
                Self::File { file, offset: offset + range.start, len }
            }
            Self::Synthetic { source, offset, .. } => {
                Self::Synthetic { source, offset: offset + range.start, len }
            }
            Self::Dropped { .. } => Self::Dropped { len },
            Self::Joined(_) => self,
        }
    }

    /// Yields the bytes of `range`, frame by frame. The range has to lie inside the content.
    #[must_use]
    pub fn read(&self, range: Range<u64>) -> Reader {
        let mut leaves = Vec::new();
        self.collect_leaves(range.clone(), &mut leaves);
        Reader::new(leaves, range.end - range.start)
    }

    /// All bytes at once: for small objects.
    ///
    /// # Errors
    /// When the file behind it cannot be read, or the bytes were dropped.
    pub async fn read_all(&self) -> io::Result<Bytes> {
        if let Self::Memory(bytes) = self {
            return Ok(bytes.clone());
        }
        let capacity = usize::try_from(self.len()).map_err(io::Error::other)?;
        let frames: Vec<Bytes> = self.read(0..self.len()).try_collect().await?;
        let mut all = Vec::with_capacity(capacity);
        for frame in frames {
            all.extend_from_slice(&frame);
        }
        Ok(all.into())
    }

    /// Splits `range` into ranges of contents that are not joined.
    fn collect_leaves(&self, range: Range<u64>, leaves: &mut Vec<(Content, Range<u64>)>) {
        let Self::Joined(segments) = self else {
            if !range.is_empty() {
                leaves.push((self.clone(), range));
            }
            return;
        };
        let first = segments.partition_point(|s| s.start + s.content.len() <= range.start);
        for segment in &segments[first..] {
            if segment.start >= range.end {
                break;
            }
            let from = range.start.saturating_sub(segment.start);
            let to = (range.end - segment.start).min(segment.content.len());
            segment.content.collect_leaves(from..to, leaves);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::sample::Index;

    use super::*;

    fn memory(bytes: &'static [u8]) -> Content {
        Content::Memory(Bytes::from_static(bytes))
    }

    async fn read(content: &Content, range: Range<u64>) -> Vec<u8> {
        let frames: Vec<Bytes> = content.read(range).try_collect().await.unwrap();
        frames.concat()
    }

    proptest! {
        #[test]
        fn joined_content_reads_across_its_seams(
            pieces in vec(vec(any::<u8>(), 0..20), 0..8),
            cuts in any::<(Index, Index)>(),
        ) {
            let whole = pieces.concat();
            let joined = Content::join(pieces.into_iter().map(Content::from).collect());
            prop_assert_eq!(joined.len(), whole.len() as u64);
            let (a, b) = (cuts.0.index(whole.len() + 1), cuts.1.index(whole.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            // Memory is always ready: no runtime is needed.
            let got = read(&joined, from as u64..to as u64).now_or_never();
            prop_assert_eq!(got.as_deref(), Some(&whole[from..to]));
            let slice = joined.slice(from as u64..to as u64);
            prop_assert_eq!(slice.len(), (to - from) as u64);
            let got = read(&slice, 0..slice.len()).now_or_never();
            prop_assert_eq!(got.as_deref(), Some(&whole[from..to]));
        }
    }

    #[tokio::test]
    async fn a_file_yields_the_range_asked_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.to_le_bytes()).collect();
        std::fs::write(file.path(), &bytes).unwrap();
        let content = Content::from_file(file.path()).unwrap();
        assert_eq!(content.len(), bytes.len() as u64);
        assert_eq!(read(&content, 1_000_001..9_000_003).await, bytes[1_000_001..9_000_003]);
        let slice = content.slice(1_000_000..9_000_000).slice(5..7);
        assert_eq!(read(&slice, 0..2).await, bytes[1_000_005..1_000_007]);
    }

    #[tokio::test]
    async fn dropped_bytes_are_an_error_to_read_and_never_zeros() {
        let content = Content::join(vec![memory(b"abc"), Content::Dropped { len: 3 }]);
        assert!(!content.is_readable());
        assert!(content.read_all().await.is_err());
    }
}
