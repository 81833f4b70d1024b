//! The Unix socket's file: made with its mode, and removed with the listener.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

use super::{Error, Listen};

/// Connections that wait to be accepted: a moment's crowd. Beyond it, a connect to a Unix socket is refused.
/// The kernel holds it to net.core.somaxconn, 4,096 by default.
const BACKLOG: u32 = 1024;

/// A listener, and the file that it is reached by.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// The device and the inode of the file, which tell it from a successor's.
    file: (u64, u64),
}

impl Socket {
    /// Binds, taking the place of a socket that a daemon left behind.
    pub(super) async fn bind(path: &Path, mode: u32) -> Result<Self, Error> {
        let failed = |source| Error::Bind { listen: Listen::Unix(path.to_owned()), source };
        if let Some(dir) = path.parent() {
            make_dir(dir).map_err(failed)?;
        }
        clear(path).await?;
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(path).map_err(failed)?;
        // Nobody can connect to a socket that does not listen yet: there is no moment at which the
        // umask decides who may.
        open_to(path, mode).map_err(failed)?;
        let file = identity(path).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), file })
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// A clean end leaves nothing behind; what a crash leaves is cleared at the next start.
impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // It may be gone by now, and nobody would be served by an error.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Sets who may connect.
pub(super) fn open_to(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Makes the directory where it is not there: anybody may pass through what was made, whatever the umask is, since
/// the socket says who may connect.
fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.exists() {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        make_dir(above)?;
    }
    std::fs::create_dir(dir)?;
    open_to(dir, 0o755)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Removes a socket that nobody answers on.
async fn clear(path: &Path) -> Result<(), Error> {
    let listen = || Listen::Unix(path.to_owned());
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|source| Error::Bind { listen: listen(), source })?,
    };
    if !found.file_type().is_socket() {
        return Err(Error::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|source| Error::Bind { listen: listen(), source })
        }
        Ok(_) => Err(Error::InUse(listen())),
        Err(source) => Err(Error::Bind { listen: listen(), source }),
    }
}
