//! What is carried.

use std::fmt;

use serde::Serialize;

/// The works by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WorkName {
    /// 1 x 8 GiB
    Big,
    /// 8 x 1 GiB
    Many,
    /// 2,000 x 256 KiB
    Small,
    /// 1 x 8 GiB, 60 ms to the first byte, 50 MB/s a connection
    Slow,
}

impl fmt::Display for WorkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Big => "big",
            Self::Many => "many",
            Self::Small => "small",
            Self::Slow => "slow",
        })
    }
}

/// One work.
#[derive(Debug, Clone, Serialize)]
pub struct Work {
    pub name: WorkName,
    pub objects: u64,
    /// Bytes each.
    pub size: u64,
    pub first_byte_ms: u64,
    pub connection_bytes_per_second: Option<u64>,
}

impl Work {
    /// The work, or an n-th of it.
    pub fn new(name: WorkName, shrink: u64) -> Self {
        let (objects, size) = match name {
            WorkName::Big | WorkName::Slow => (1, (8 << 30) / shrink),
            WorkName::Many => (8, (1 << 30) / shrink),
            WorkName::Small => ((2_000 / shrink).max(1), 256 << 10),
        };
        let slow = name == WorkName::Slow;
        Self {
            name,
            objects,
            size,
            first_byte_ms: if slow { 60 } else { 0 },
            connection_bytes_per_second: slow.then_some(50_000_000),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.objects * self.size
    }

    pub fn gib(&self) -> f64 {
        gib(self.bytes())
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, unit) = match self.size {
            size if size >= 1 << 30 => (gib(size), "GiB"),
            size if size >= 1 << 20 => (gib(size << 10), "MiB"),
            size => (gib(size << 20), "KiB"),
        };
        write!(f, "{}: {} x {size} {unit}", self.name, self.objects)?;
        match self.connection_bytes_per_second {
            Some(rate) => {
                let ms = self.first_byte_ms;
                write!(f, ", {ms} ms to the first byte, {} MB/s a connection", rate / 1_000_000)
            }
            None => Ok(()),
        }
    }
}

/// Bytes as GiB; exact enough below 8 PiB.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
