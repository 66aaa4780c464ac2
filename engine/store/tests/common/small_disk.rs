//! A small file system of its own, where the machine lets us mount one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held while a test of this process has one. To mount and to unmount is to start a program, and what starts holds every open
/// file of this process for a moment, until it is another program: files that are removed meanwhile keep their space, and a
/// disk on which each page counts is fuller than it should be.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A file system in memory, mounted; unmounted when dropped.
pub(crate) struct SmallDisk {
    directory: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl SmallDisk {
    /// One of so many KiB, when no other test of this process has one; `None`, with a message, where nothing may be mounted.
    pub(crate) fn mount(name: &str, kib: u32) -> Option<Self> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = std::env::temp_dir().join(format!("tape-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let size = format!("size={kib}k,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&directory)
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            println!("skipped: no file system can be mounted here (it takes the rights of root)");
            let _ = fs::remove_dir(&directory);
            return None;
        }
        Some(Self { directory, _alone: alone })
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// Fills it with a file that is not the store's.
    pub(crate) fn fill(&self) {
        let mut filler = fs::File::create(self.directory.join("filler")).unwrap();
        while filler.write_all(&[0x55; 4096]).is_ok() {}
    }

    /// Removes that file again.
    pub(crate) fn give_space(&self) {
        fs::remove_file(self.directory.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.directory).status();
        let _ = fs::remove_dir(&self.directory);
    }
}
