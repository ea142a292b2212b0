//! The keeper's place in the file system: its directory, lock and listening socket, and the
//! watch that notices when they vanish (/tmp is cleaned, $XDG_RUNTIME_DIR goes at logout).

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::Context;
use psess_protocol::rendezvous::Directory;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::FlockOperation;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

/// Where clients find the server.
#[derive(Debug)]
pub(super) struct Place {
    directory: Directory,
    lock: LockFile,
    listener: UnixListener,
    socket: FileIdentity,
    /// Tells of deletions in the directory.
    watch: OwnedFd,
    /// Tells of mounts: a runtime directory that is unmounted goes without a deletion. Where
    /// /proc is not there, without this.
    mounts: Option<File>,
}

impl Place {
    /// Takes the first of the candidates that can be taken; `None` when another keeper lives.
    ///
    /// # Errors
    /// Why the first candidate cannot be taken, when none can.
    pub(super) fn take(candidates: &[Directory]) -> anyhow::Result<Option<Self>> {
        let mut problem = None;
        for directory in candidates {
            match Self::take_in(directory, None) {
                Ok(taken) => return Ok(taken),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        Err(problem.unwrap_or_else(|| anyhow::anyhow!("no directory to put a socket into")))
    }

    /// Takes over from a keeper before this one; [`Place::renew`] is to look at it.
    ///
    /// # Errors
    /// When there is nothing left to watch it with.
    pub(super) fn inherited(
        directory: PathBuf,
        listener: OwnedFd,
        lock: OwnedFd,
    ) -> anyhow::Result<Self> {
        let directory = Directory::new(directory);
        let lock = File::from(lock);
        let metadata = lock.metadata().context("cannot look at the lock")?;
        let lock = LockFile {
            file: lock,
            identity: FileIdentity(metadata.dev(), metadata.ino()),
        };
        // One that vanished is made again.
        let nothing = FileIdentity(0, 0);
        Ok(Self {
            watch: watch(&directory).or_else(|_| {
                inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
                    .context("cannot watch for the socket's deletion (inotify)")
            })?,
            socket: FileIdentity::of(&directory.socket()).unwrap_or(nothing),
            directory,
            lock,
            listener: listener.into(),
            mounts: File::open("/proc/self/mountinfo").ok(),
        })
    }

    /// Directory, listener and lock, for the next keeper.
    pub(super) fn bequeathed(&self) -> (&Path, BorrowedFd<'_>, BorrowedFd<'_>) {
        let lock = self.lock.file.as_fd();
        (self.directory.path(), self.listener.as_fd(), lock)
    }

    /// Takes one directory, under the lock that is held there already, if any.
    fn take_in(directory: &Directory, held: Option<LockFile>) -> anyhow::Result<Option<Self>> {
        directory.create()?;
        let lock = match held {
            Some(lock) => lock,
            None => match LockFile::lock(&directory.lock())? {
                Some(lock) => lock,
                None => return Ok(None),
            },
        };
        let watch = watch(directory)?;
        let path = directory.socket();
        let listener =
            listen(&path).with_context(|| format!("cannot listen at {}", path.display()))?;
        let socket = FileIdentity::of(&path)
            .with_context(|| format!("the socket {} vanished at once", path.display()))?;
        Ok(Some(Self {
            directory: directory.clone(),
            lock,
            listener,
            socket,
            watch,
            mounts: File::open("/proc/self/mountinfo").ok(),
        }))
    }

    /// Looks whether clients can still find the socket, and if not, makes another one, at best
    /// in the same directory. Whether there is a new listener.
    ///
    /// # Errors
    /// When no candidate can be taken; the old place, of no use, is kept.
    pub(super) fn renew(&mut self, candidates: &[Directory]) -> anyhow::Result<bool> {
        self.forget_events();
        let lock_stays = self.lock.is_at(&self.directory.lock());
        if lock_stays && FileIdentity::of(&self.directory.socket()) == Some(self.socket) {
            return Ok(false);
        }
        let mut problem = None;
        let others = candidates
            .iter()
            .filter(|candidate| **candidate != self.directory);
        for candidate in [&self.directory.clone()].into_iter().chain(others) {
            let held = match *candidate == self.directory && lock_stays {
                true => Some(self.lock.try_clone()?),
                false => None,
            };
            match Self::take_in(candidate, held) {
                Ok(Some(place)) => {
                    *self = place;
                    return Ok(true);
                }
                Ok(None) => problem = Some(anyhow::anyhow!("another keeper took its place")),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        Err(problem.unwrap_or_else(|| anyhow::anyhow!("no directory to put a socket into")))
    }

    /// Removes the socket, unless somebody waits to be accepted. Whether it is removed: nobody
    /// can come any more, and the next client starts another keeper.
    pub(super) fn close_unless_awaited(&self) -> bool {
        let path = self.directory.socket();
        let aside = path.with_extension("closing");
        if self.is_awaited() {
            return false;
        }
        // Moved rather than removed: it can come back with whoever came between the two looks.
        if std::fs::rename(&path, &aside).is_err() {
            // Deleted, or not ours to delete: there is nothing to find.
            return !self.is_awaited();
        }
        if self.is_awaited() && std::fs::rename(&aside, &path).is_ok() {
            return false;
        }
        // Left behind, it would only be a stale file.
        drop(std::fs::remove_file(&aside));
        true
    }

    /// Removes the socket for good. The directory stays, with the lock: in /tmp it keeps others
    /// from making one of its name, which psess would refuse to use ever after.
    pub(super) fn close(&self) {
        let path = self.directory.socket();
        if FileIdentity::of(&path) == Some(self.socket) {
            // Left behind, it would refuse connections, which clients take as nobody there.
            drop(std::fs::remove_file(path));
        }
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Where to write errors: nowhere while the directory is gone, or somebody else made another
    /// at its place, which may lead anywhere.
    pub(super) fn log(&self) -> PathBuf {
        match self.directory.exists() {
            Ok(true) => self.directory.log(),
            Ok(false) | Err(_) => PathBuf::from("/dev/null"),
        }
    }

    /// What to poll: either may tell that [`Place::renew`] should look.
    pub(super) fn watches(&self) -> impl Iterator<Item = PollFd<'_>> {
        let mounts = self.mounts.as_ref();
        std::iter::once(PollFd::new(&self.watch, PollFlags::IN))
            .chain(mounts.map(|mounts| PollFd::new(mounts, PollFlags::PRI)))
    }

    fn is_awaited(&self) -> bool {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        // An error is taken as somebody: the keeper goes on.
        rustix::event::poll(&mut fds, Some(&Timespec::default())) != Ok(0)
    }

    /// Reads the events away; what happened is seen in the file system.
    fn forget_events(&self) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        while rustix::io::read(&self.watch, &mut buffer).is_ok_and(|(read, _)| !read.is_empty()) {}
    }
}

/// Watches for deletions in a directory.
fn watch(directory: &Directory) -> anyhow::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .context("cannot watch for the socket's deletion (inotify)")?;
    let what = WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF;
    inotify::add_watch(&watch, directory.path(), what)
        .with_context(|| format!("cannot watch {}", directory.path().display()))?;
    Ok(watch)
}

/// Listens at a path where at most a dead keeper's socket is.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // The directory keeps others out until the mode is set.
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The lock file, open and locked.
#[derive(Debug)]
struct LockFile {
    file: File,
    identity: FileIdentity,
}

impl LockFile {
    /// Locks it; `None` while somebody else does.
    fn lock(path: &Path) -> anyhow::Result<Option<Self>> {
        let failed = || format!("cannot lock {}", path.display());
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error).with_context(failed),
        }
        let metadata = file.metadata().with_context(failed)?;
        let identity = FileIdentity(metadata.dev(), metadata.ino());
        Ok(Some(Self { file, identity }))
    }

    fn is_at(&self, path: &Path) -> bool {
        FileIdentity::of(path) == Some(self.identity)
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            identity: self.identity,
        })
    }
}

/// Device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileIdentity(u64, u64);

impl FileIdentity {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::symlink_metadata(path).ok()?;
        Some(Self(metadata.dev(), metadata.ino()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two candidates in a folder of the test's own, which goes with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("psess-place-{name}-{}", std::process::id()));
            std::fs::create_dir_all(folder.join("run")).unwrap();
            Self(folder)
        }

        fn candidates(&self) -> [Directory; 2] {
            ["run/psess", "psess"].map(|path| Directory::new(self.0.join(path)))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn without_its_runtime_directory_it_moves_to_the_next_candidate() {
        let folder = Folder::new("moves");
        let candidates = folder.candidates();
        let mut place = Place::take(&candidates).unwrap().unwrap();
        assert_eq!(place.directory, candidates[0]);
        assert!(!place.renew(&candidates).unwrap(), "all is well");
        std::fs::remove_dir_all(folder.0.join("run")).unwrap();
        assert_eq!(place.log(), Path::new("/dev/null"));
        assert!(place.renew(&candidates).unwrap());
        assert_eq!(place.directory, candidates[1]);
        assert_eq!(place.log(), candidates[1].log());
        assert!(psess_protocol::rendezvous::connect_in(&candidates).is_ok());
        assert!(
            Place::take(&candidates[1..]).unwrap().is_none(),
            "the lock is held"
        );
    }

    #[test]
    fn a_symlink_at_the_place_of_its_directory_is_not_followed() {
        let folder = Folder::new("symlink");
        let candidates = folder.candidates();
        let only = &candidates[..1];
        let mut place = Place::take(only).unwrap().unwrap();
        let (path, elsewhere) = (candidates[0].path(), folder.0.join("elsewhere"));
        std::fs::rename(path, folder.0.join("aside")).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, path).unwrap();
        let refused = place.renew(only).unwrap_err().to_string();
        assert!(refused.contains(path.to_str().unwrap()), "{refused}");
        assert_eq!(place.log(), Path::new("/dev/null"));
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
        // Clients do not follow it either.
        assert!(psess_protocol::rendezvous::connect_in(only).is_err());
        std::fs::remove_file(path).unwrap();
        assert!(place.renew(only).unwrap());
        assert!(psess_protocol::rendezvous::connect_in(only).is_ok());
    }
}
