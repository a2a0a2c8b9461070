//! Where a database may be: on a local disk with room left.
//!
//! Write-ahead logging needs shared memory that network file systems do not give, so they are refused by name.

use std::path::Path;

use super::StoreError;

/// What stays free on the disk of a database: enough for the write-ahead log to be carried over at any moment.
pub const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Magic numbers of network file systems (statfs(2) and the kernels that name them).
const NETWORK_FILESYSTEMS: [(u64, &str); 10] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFE53_4D42, "SMB2"),
    (0xFF53_4D42, "CIFS"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x5346_414F, "AFS"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x7375_7245, "Coda"),
];

/// Returns the folder that holds `path`.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses a database on a network file system.
///
/// # Errors
///
/// [`StoreError::NetworkDisk`], or [`StoreError::Io`] when the folder cannot be asked.
pub(super) fn refuse_network_disk(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    let status = rustix::fs::statfs(folder).map_err(|error| StoreError::Io {
        doing: "asking for the file system of",
        path: folder.to_owned(),
        source: error.into(),
    })?;
    // The field's width and sign differ between platforms; the magic numbers are 32 bits everywhere.
    let magic = u64::from(status.f_type as u32);
    match network_filesystem(magic) {
        Some(name) => Err(StoreError::NetworkDisk { path: path.to_owned(), filesystem: name.to_owned() }),
        None => Ok(()),
    }
}

fn network_filesystem(magic: u64) -> Option<&'static str> {
    NETWORK_FILESYSTEMS.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

/// Returns the bytes that this user may still write on the disk of `path`.
///
/// # Errors
///
/// [`StoreError::Io`] when the folder cannot be asked.
pub fn free_bytes(path: &Path) -> Result<u64, StoreError> {
    let folder = folder_of(path);
    let status = rustix::fs::statvfs(folder).map_err(|error| StoreError::Io {
        doing: "asking for the free space of",
        path: folder.to_owned(),
        source: error.into(),
    })?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

/// Refuses to go on when less than `needed_bytes` are free.
///
/// # Errors
///
/// [`StoreError::DiskNearlyFull`], or [`StoreError::Io`] when the folder cannot be asked.
pub(super) fn refuse_full_disk(path: &Path, needed_bytes: u64) -> Result<(), StoreError> {
    let free_bytes = free_bytes(path)?;
    if free_bytes < needed_bytes {
        return Err(StoreError::DiskNearlyFull { path: path.to_owned(), free_bytes, needed_bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_number() {
        assert_eq!(network_filesystem(0x6969), Some("NFS"));
        assert_eq!(network_filesystem(0xEF53), None, "ext4 is local");
    }

    #[test]
    fn a_temporary_folder_is_local_and_a_disk_is_never_large_enough_for_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sqlite");
        refuse_network_disk(&path).unwrap();
        refuse_full_disk(&path, 1).unwrap();
        let error = refuse_full_disk(&path, u64::MAX).unwrap_err();
        assert!(error.to_string().contains("MiB free"), "{error}");
    }
}
