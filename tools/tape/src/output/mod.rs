//! Writing: rows, tables, JSON objects and coverage strips, to standard output or a file.

pub(crate) mod rows;
pub(crate) mod strip;
pub(crate) mod table;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::fail::{Fail, Result};

pub(crate) use tapestore_text::{json, plain};

/// Where data goes. Standard error is for everything else.
#[derive(Debug)]
pub(crate) struct Out {
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout(BufWriter<io::Stdout>),
    File { file: BufWriter<tempfile::NamedTempFile>, path: PathBuf, force: bool },
}

impl Out {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self { target: Target::Stdout(BufWriter::with_capacity(64 * 1024, io::stdout())) }
    }

    /// A file that appears, whole, when [`Out::finish`] is called; `-` is standard output.
    pub(crate) fn create(path: &Path, force: bool) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::stdout());
        }
        if !force && path.exists() {
            return Err(exists(path));
        }
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !directory.is_dir() {
            let text =
                format!("cannot write {}: there is no directory {}", path.display(), directory.display());
            return Err(Fail::Io(text));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tape-").suffix(".part");
        #[cfg(unix)]
        {
            // As any program creates a file: the umask decides.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(directory).map_err(|error| Fail::file(path, "write", &error))?;
        let file = BufWriter::with_capacity(256 * 1024, file);
        Ok(Self { target: Target::File { file, path: path.to_owned(), force } })
    }

    /// Makes sure everything is written; a file gets its name.
    pub(crate) fn finish(self) -> Result<()> {
        match self.target {
            Target::Stdout(mut stdout) => Ok(stdout.flush()?),
            Target::File { file, path, force } => {
                let failed = |error: &io::Error| Fail::file(&path, "write", error);
                let file = file.into_inner().map_err(|error| failed(error.error()))?;
                let outcome = if force { file.persist(&path) } else { file.persist_noclobber(&path) };
                match outcome {
                    Ok(_) => Ok(()),
                    Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(&path)),
                    Err(error) => Err(failed(&error.error)),
                }
            }
        }
    }
}

fn exists(path: &Path) -> Fail {
    Fail::Usage(format!("{} exists; replace it with -f", path.display()))
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Stdout(stdout) => stdout.write(bytes),
            Target::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout(stdout) => stdout.flush(),
            Target::File { file, .. } => file.flush(),
        }
    }
}

/// Says something on standard error, unless `quiet`. Whatever it names does not drive the terminal, and is not longer than
/// anybody reads.
pub(crate) fn note(quiet: bool, text: &str) {
    if !quiet {
        let _ = writeln!(io::stderr(), "{}", short(&plain(text)));
    }
}

/// A path as people are told of it.
pub(crate) fn shown(path: &Path) -> String {
    plain(&path.display().to_string())
}

/// Text of which the middle is left out if it is too long to read, as an error is that repeats what was given for a name. The
/// end says what to do.
fn short(text: &str) -> String {
    const HEAD_BYTES: usize = 1200;
    const TAIL_BYTES: usize = 800;
    if text.len() <= HEAD_BYTES + TAIL_BYTES {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(HEAD_BYTES);
    let tail = text.ceil_char_boundary(text.len() - TAIL_BYTES);
    format!("{} … {}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_errors_keep_their_beginning_and_their_end() {
        let line = "é".repeat(1000);
        assert_eq!(short(&line), line);
        let shortened = short(&format!("what: {} and what to do", "é".repeat(5000)));
        assert!(shortened.starts_with("what: é") && shortened.ends_with("é and what to do"));
        assert!(shortened.len() < 2100 && shortened.contains(" … "));
    }

    #[test]
    fn files_are_replaced_only_by_force_and_appear_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.csv");
        let mut out = Out::create(&path, false).unwrap();
        out.write_all(b"one").unwrap();
        assert!(!path.exists());
        out.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert!(Out::create(&path, false).unwrap_err().to_string().contains("-f"));
        let mut out = Out::create(&path, true).unwrap();
        out.write_all(b"two").unwrap();
        drop(out);
        assert_eq!(std::fs::read(&path).unwrap(), b"one", "what is not finished changes nothing");
        let mut out = Out::create(&path, true).unwrap();
        out.write_all(b"two").unwrap();
        out.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
