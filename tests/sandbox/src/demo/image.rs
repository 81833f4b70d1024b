//! Makes a file that looks like a stored image: a head, data that does not compress, and the runs of
//! zeros that disks are full of.

use std::io::{self, SeekFrom};
use std::path::Path;

use futures::TryStreamExt as _;
use sandbox::{Content, Synthetic};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

/// Data and zeros alternate in pieces of so many bytes: two pieces of three are data.
const PIECE_BYTES: u64 = 4 << 20;
const HEAD: &[u8] = b"causeway demo image\nnot a real machine image; see `sandbox demo --help`\n";

/// Writes `size` bytes.
pub(super) async fn write(path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::create(path).await?;
    let data = Content::from_synthetic(Synthetic::new(0xca5e_0a11, size));
    let mut written = 0;
    while written < size {
        let piece = PIECE_BYTES.min(size - written);
        if written / PIECE_BYTES % 3 == 2 {
            // What nobody writes reads as zeros, and takes no space.
            file.seek(SeekFrom::Start(written + piece)).await?;
        } else {
            let mut frames = data.read(written..written + piece);
            while let Some(frame) = frames.try_next().await? {
                file.write_all(&frame).await?;
            }
        }
        written += piece;
    }
    if size >= HEAD.len() as u64 {
        file.seek(SeekFrom::Start(0)).await?;
        file.write_all(HEAD).await?;
    }
    file.flush().await?;
    file.set_len(size).await
}
