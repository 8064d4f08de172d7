//! Whether a place can hold a store file, told before SQLite would say "unable to open database file".

use std::path::Path;

use crate::ConfigError;

/// File systems whose locks and shared memory do not hold between machines, on which SQLite's log damages the file.
const NETWORK: [&str; 10] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"];

pub(crate) fn check(path: &Path) -> Result<(), ConfigError> {
    if path.is_dir() {
        return Err(ConfigError::new(format!("the store file {} is a folder", path.display())));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(ConfigError::new(format!("the folder {} of the store file does not exist", folder.display()))
            .cure("make it first"));
    }
    // Only Linux tells its mounts in a file; elsewhere the check is left out.
    if let (Ok(folder), Ok(mounts)) = (folder.canonicalize(), std::fs::read_to_string("/proc/self/mountinfo"))
        && let Some(kind) = file_system(&folder, &mounts)
        && NETWORK.contains(&kind)
    {
        return Err(ConfigError::new(format!(
            "the store file {} is on a network file system ({kind}), where SQLite cannot keep it whole",
            path.display()
        ))
        .cure("put it on a local disk, or use MongoDB"));
    }
    Ok(())
}

/// The type of the file system that holds `folder`: the one whose mount point is the longest prefix, the last if several.
fn file_system<'a>(folder: &Path, mounts: &'a str) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let point = head.split(' ').nth(4)?.replace("\\040", " ");
        folder.starts_with(&point).then_some((point.len(), tail.split(' ').next()?))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        40 27 0:40 / /srv/data rw - nfs4 server:/data rw\n\
        41 40 8:2 / /srv/data/my\\040disk rw - xfs /dev/sdb rw\n";

    #[test]
    fn the_innermost_mount_counts() {
        let kind = |folder: &str| file_system(Path::new(folder), MOUNTS).unwrap();
        assert_eq!(kind("/srv"), "ext4");
        assert_eq!(kind("/srv/database"), "ext4");
        assert_eq!(kind("/srv/data/app"), "nfs4");
        assert_eq!(kind("/srv/data/my disk/app"), "xfs");
    }
}
