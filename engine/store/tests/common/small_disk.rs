//! A small file system of its own, where the machine lets us mount one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system in memory, mounted; unmounted when dropped.
pub(crate) struct SmallDisk {
    directory: PathBuf,
}

impl SmallDisk {
    /// One of so many KiB; `None`, with a message, where nothing may be mounted.
    pub(crate) fn mount(name: &str, kib: u32) -> Option<Self> {
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
        Some(Self { directory })
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
