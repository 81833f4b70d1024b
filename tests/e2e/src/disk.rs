//! Disks that are too small, and disks that fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::sys::statvfs::statvfs;

/// A file system of its own in memory, of so many MiB. It takes root; dropped, it is unmounted.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it at `dir`, which is made.
    pub fn mount(dir: PathBuf, mib: u64) -> Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let size = format!("size={mib}m,mode=700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "causeway-test"]).arg(&dir))?;
        Ok(Self(dir))
    }

    /// Fills it until `left` bytes are free.
    pub fn fill(&self, left: u64) -> Result<()> {
        let found = statvfs(&self.0)?;
        let free = found.blocks_available() * found.fragment_size();
        let ballast = vec![1; usize::try_from(free.saturating_sub(left))?];
        Ok(std::fs::write(self.ballast(), ballast)?)
    }

    /// Makes room again.
    pub fn clear(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the daemon may hold files in it for another moment.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

/// What a broken disk refuses.
#[derive(Debug, Clone, Copy)]
pub enum Broken {
    /// fsync and its like, with EIO.
    Syncs,
    /// Every write, with EROFS: a file system that was remounted read-only after an error.
    Writes,
}

/// A disk under a directory that fails on demand, for a daemon that is started with [`env`](Self::env).
#[derive(Debug)]
pub struct FailingDisk {
    library: String,
    trigger: String,
    dir: String,
}

impl FailingDisk {
    /// Builds what stands between the daemon and the kernel; `dir` is the directory that fails.
    pub fn new(work: &Path, dir: &Path) -> Result<Self> {
        let library = work.join("failing_disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/failing_disk.c");
        run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source))?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is text");
        let trigger = text(&work.join("broken"))?;
        Ok(Self { library: text(&library)?, trigger, dir: text(dir)? })
    }

    /// The daemon's environment.
    pub fn env(&self) -> [(&str, &str); 3] {
        [("LD_PRELOAD", &self.library), ("FAILING_DISK", &self.trigger), ("FAILING_DIR", &self.dir)]
    }

    /// Breaks it.
    pub fn breaks(&self, broken: Broken) -> Result<()> {
        let word = match broken {
            Broken::Syncs => "S",
            Broken::Writes => "W",
        };
        // Whole at once: the daemon reads it at every call.
        let made = format!("{}.new", self.trigger);
        std::fs::write(&made, word)?;
        Ok(std::fs::rename(made, &self.trigger)?)
    }

    /// Mends it.
    pub fn mends(&self) -> Result<()> {
        Ok(std::fs::remove_file(&self.trigger)?)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
