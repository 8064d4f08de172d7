//! Opens files below a directory, and nothing else.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

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

    /// Whether symbolic links are followed wherever they lead.
    pub(super) fn following(&self, follow: bool) -> Self {
        Self { path: self.path.clone(), follow }
    }

    /// What is at `within`, a relative path of plain names; none where there is nothing that may be served.
    ///
    /// # Errors
    /// When the system fails, for want of descriptors or by a broken disk.
    pub(super) fn open(&self, within: &Path) -> io::Result<Option<Entry>> {
        #[cfg(target_os = "linux")]
        if !self.follow {
            match beneath::open(&self.path, within) {
                Err(error) if beneath::is_unknown(&error) => {}
                opened => return served(opened),
            }
        }
        served(self.open_resolved(within))
    }

    /// Whether nothing is at `within`, if that is known without waiting for a disk.
    pub(super) fn surely_lacks(&self, within: &Path) -> bool {
        #[cfg(target_os = "linux")]
        if !self.follow {
            return beneath::surely_lacks(&self.path, within);
        }
        let _ = within;
        false
    }

    /// Where the system cannot keep a path below a directory: where it leads is found first, and then opened.
    fn open_resolved(&self, within: &Path) -> io::Result<Entry> {
        let root = self.path.canonicalize()?;
        let path = root.join(within).canonicalize()?;
        if !self.follow && !path.starts_with(&root) {
            return Err(io::ErrorKind::NotFound.into());
        }
        open(&path)
    }
}

/// Opens the file at `path`, if it is one: what is no file is not opened, since that may wait for ever, or do something.
pub(super) fn open(path: &Path) -> io::Result<Entry> {
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

/// By `openat2`, which keeps every step below the directory.
#[cfg(target_os = "linux")]
mod beneath {
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    use super::Entry;

    /// Whether it is not there: in a kernel before 5.6, or behind a filter of calls that does not know it.
    pub(super) fn is_unknown(error: &io::Error) -> bool {
        [Errno::NOSYS, Errno::PERM].iter().any(|unknown| error.raw_os_error() == Some(unknown.raw_os_error()))
    }

    pub(super) fn open(root: &Path, within: &Path) -> io::Result<Entry> {
        let root = directory(root, ResolveFlags::empty())?;
        // A path is no more than a name: nothing is opened by it that could wait, or do something.
        let metadata = File::from(at(&root, within, OFlags::PATH, ResolveFlags::empty())?).metadata()?;
        if metadata.is_dir() {
            return Ok(Entry::Directory);
        }
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Another thing may be there by now.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(at(&root, within, flags, ResolveFlags::empty())?);
        let metadata = file.metadata()?;
        if metadata.is_file() { Ok(Entry::File(file, metadata)) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    pub(super) fn surely_lacks(root: &Path, within: &Path) -> bool {
        // Asked for what is in memory only; it fails otherwise where a disk would have to be waited for.
        let Ok(root) = directory(root, ResolveFlags::CACHED) else { return false };
        let found = at(&root, within, OFlags::PATH, ResolveFlags::CACHED);
        found.is_err_and(|error| {
            [Errno::NOENT, Errno::NOTDIR].iter().any(|lacks| error.raw_os_error() == Some(lacks.raw_os_error()))
        })
    }

    fn directory(root: &Path, resolve: ResolveFlags) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat2(CWD, root, flags, Mode::empty(), resolve)?)
    }

    fn at(root: &OwnedFd, within: &Path, flags: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
        let within = if within.as_os_str().is_empty() { Path::new(".") } else { within };
        let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        // It asks to be called again where something was renamed meanwhile.
        for _ in 0..8 {
            match openat2(root, within, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) if !resolve.contains(ResolveFlags::CACHED) => {}
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
            assert_eq!(root.open(Path::new(name)).unwrap().is_some(), found, "{name}");
            assert_eq!(served(root.open_resolved(Path::new(name))).unwrap().is_some(), found, "{name}");
        }
        let following = root.following(true);
        assert!(matches!(following.open(Path::new("out")).unwrap(), Some(Entry::File(..))));
        assert!(matches!(following.open(Path::new("")).unwrap(), Some(Entry::Directory)));
    }

    #[test]
    fn what_may_be_there_is_looked_for() {
        let place = place().unwrap();
        let root = Root::new(&place.path().join("public")).unwrap();
        for name in ["a.txt", "in", "out", "", "loop"] {
            assert!(!root.surely_lacks(Path::new(name)), "{name}");
        }
        assert!(!root.following(true).surely_lacks(Path::new("none")), "a link may lead anywhere");
    }
}
