//! Opens files below a directory, and nothing else.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, would_wait};
use crate::ConfigError;

/// A directory below which files are opened.
///
/// It is looked up anew each time, so that it may be replaced while it is served.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    follow: bool,
}

/// What is at a place.
#[derive(Debug)]
pub(super) enum Entry {
    File(File, Metadata),
    Directory,
}

impl Root {
    pub(super) fn new(path: &Path) -> Result<Self, ConfigError> {
        let wrong = |what: &str, cure: &str| {
            Err(ConfigError::new(format!("Static: directory {:?} {what}", path.display().to_string())).cure(cure))
        };
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return wrong("is no directory", "name the directory that holds the files"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return wrong("does not exist", "make it, or name another one");
            }
            Err(error) => return wrong(&format!("cannot be read: {error}"), "let this program read it"),
        }
        match std::path::absolute(path) {
            Ok(path) => Ok(Self { path, follow: false }),
            Err(error) => wrong(&format!("has no absolute path: {error}"), "name it by its absolute path"),
        }
    }

    /// The same, of which nobody has seen whether it is there.
    pub(super) fn unchecked(path: &Path) -> Self {
        Self { path: path.to_owned(), follow: false }
    }

    /// Whether symbolic links are followed wherever they lead.
    pub(super) fn following(&self, follow: bool) -> Self {
        Self { path: self.path.clone(), follow }
    }

    /// What is at `within`, a relative path of plain names; none where there is nothing that may be served.
    ///
    /// # Errors
    /// When the system fails, for want of descriptors or by a broken disk; and when a disk would have to be waited for and may not.
    pub(super) fn open(&self, within: &Path, disk: Disk) -> io::Result<Option<Entry>> {
        if self.follow {
            return served(open(&self.path.join(within), disk));
        }
        #[cfg(target_os = "linux")]
        match openat2::beneath(&self.path, within, disk) {
            Err(error) if openat2::is_unknown(&error) => {}
            opened => return served(opened),
        }
        match disk {
            Disk::MayWait => served(self.open_resolved(within)),
            Disk::InMemory => Err(would_wait()),
        }
    }

    /// Where the system cannot keep a path below a directory: where it leads is found first, and then opened.
    fn open_resolved(&self, within: &Path) -> io::Result<Entry> {
        let root = self.path.canonicalize()?;
        let path = root.join(within).canonicalize()?;
        if !path.starts_with(&root) {
            return Err(io::ErrorKind::NotFound.into());
        }
        open(&path, Disk::MayWait)
    }
}

/// Opens the file at `path`, if it is one: what is no file is not opened, since that may wait for ever, or do something.
pub(super) fn open(path: &Path, disk: Disk) -> io::Result<Entry> {
    if disk == Disk::InMemory {
        #[cfg(target_os = "linux")]
        return openat2::in_memory(path);
        #[cfg(not(target_os = "linux"))]
        return Err(would_wait());
    }
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Ok(Entry::Directory);
    }
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Another thing may be there by now.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().try_into().unwrap_or_default());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(Entry::File(file, metadata)) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Tells what cannot be served from failures.
pub(super) fn served<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied};
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) => match error.kind() {
            NotFound | NotADirectory | PermissionDenied | InvalidFilename | InvalidInput => Ok(None),
            _ if leads_out(&error) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Whether it failed for a symbolic link: that leads out of the directory, or back to itself.
fn leads_out(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let codes = [Errno::XDEV, Errno::LOOP].map(Errno::raw_os_error);
        error.raw_os_error().is_some_and(|code| codes.contains(&code))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// By `openat2`, which keeps every step below the directory, and can be kept from waiting for a disk.
#[cfg(target_os = "linux")]
mod openat2 {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    use super::{Disk, Entry, would_wait};

    /// Whether it is not there: in a kernel before 5.6, or behind a filter of calls that does not know it.
    pub(super) fn is_unknown(error: &io::Error) -> bool {
        [Errno::NOSYS, Errno::PERM].iter().any(|unknown| error.raw_os_error() == Some(unknown.raw_os_error()))
    }

    /// What is at `within`, below `root` and nowhere else.
    pub(super) fn beneath(root: &Path, within: &Path, disk: Disk) -> io::Result<Entry> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = match disk {
            Disk::MayWait => at(CWD, root, flags, ResolveFlags::empty())?,
            // That it is not there is told by who may wait.
            Disk::InMemory => at(CWD, root, flags, ResolveFlags::CACHED).map_err(|_| would_wait())?,
        };
        let within = if within.as_os_str().is_empty() { Path::new(".") } else { within };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match disk {
            Disk::MayWait => entry(root, within, resolve),
            Disk::InMemory => entry(root, within, resolve | ResolveFlags::CACHED),
        }
    }

    /// What is at `path`, if no disk has to be waited for.
    pub(super) fn in_memory(path: &Path) -> io::Result<Entry> {
        entry(CWD, path, ResolveFlags::CACHED)
    }

    fn entry(directory: impl AsFd, path: &Path, resolve: ResolveFlags) -> io::Result<Entry> {
        // A path is no more than a name: nothing is opened by it that could wait, or do something.
        let metadata = File::from(at(&directory, path, OFlags::PATH, resolve)?).metadata()?;
        if metadata.is_dir() {
            return Ok(Entry::Directory);
        }
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Another thing may be there by now.
        let file = File::from(at(&directory, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, resolve)?);
        let metadata = file.metadata()?;
        if metadata.is_file() { Ok(Entry::File(file, metadata)) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn at(directory: impl AsFd, path: &Path, flags: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
        let is_in_memory = resolve.contains(ResolveFlags::CACHED);
        // It asks to be called again where something was renamed meanwhile.
        for _ in 0..8 {
            match openat2(&directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) if !is_in_memory => {}
                // Anything else may be for want of this flag, which kernels before 5.12 do not know.
                Err(error) if is_in_memory && !matches!(error, Errno::NOENT | Errno::NOTDIR) => {
                    return Err(would_wait());
                }
                opened => return Ok(opened?),
            }
        }
        Err(Errno::AGAIN.into())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{create_dir, write};
    use std::os::unix::fs::symlink;

    use super::*;

    fn place() -> io::Result<tempfile::TempDir> {
        let place = tempfile::tempdir()?;
        create_dir(place.path().join("public"))?;
        write(place.path().join("public/a.txt"), "a")?;
        write(place.path().join("out.txt"), "out")?;
        symlink("../out.txt", place.path().join("public/out"))?;
        symlink("a.txt", place.path().join("public/in"))?;
        symlink("loop", place.path().join("public/loop"))?;
        Ok(place)
    }

    #[test]
    fn both_ways_open_the_same() {
        let place = place().unwrap();
        let root = Root::new(&place.path().join("public")).unwrap();
        for (name, found) in [
            ("a.txt", true),
            ("in", true),
            ("", true),
            ("out", false),
            ("loop", false),
            ("none", false),
            ("a.txt/b", false),
        ] {
            assert_eq!(root.open(Path::new(name), Disk::MayWait).unwrap().is_some(), found, "{name}");
            assert_eq!(served(root.open_resolved(Path::new(name))).unwrap().is_some(), found, "{name}");
        }
        let following = root.following(true);
        assert!(matches!(following.open(Path::new("out"), Disk::MayWait).unwrap(), Some(Entry::File(..))));
        assert!(matches!(following.open(Path::new(""), Disk::MayWait).unwrap(), Some(Entry::Directory)));
    }

    #[test]
    fn what_is_in_memory_is_the_same_as_on_disk() {
        let place = place().unwrap();
        let root = Root::new(&place.path().join("public")).unwrap();
        for root in [root.following(true), root] {
            for name in ["a.txt", "in", "out", "", "loop", "none", "a.txt/b", "a\0b"] {
                let name = Path::new(name);
                match root.open(name, Disk::InMemory) {
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{name:?}"),
                    Ok(found) => {
                        let same = root.open(name, Disk::MayWait).unwrap();
                        assert_eq!(found.is_some(), same.is_some(), "{name:?}");
                    }
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_looked_for_just_now_is_in_memory() {
        let place = place().unwrap();
        let root = Root::new(&place.path().join("public")).unwrap();
        assert!(root.open(Path::new("a.txt"), Disk::MayWait).unwrap().is_some());
        assert!(matches!(root.open(Path::new("a.txt"), Disk::InMemory), Ok(Some(Entry::File(..)))));
        assert!(root.open(Path::new("none"), Disk::MayWait).unwrap().is_none());
        assert!(matches!(root.open(Path::new("none"), Disk::InMemory), Ok(None)));
        let gone = Root { path: place.path().join("gone"), follow: false };
        let error = gone.open(Path::new("a.txt"), Disk::InMemory).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "who may wait says that the directory is gone");
    }
}
