//! Running commands: with a limit of time, and with all that they print.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a command ended.
pub(crate) struct Ended {
    /// Whether it succeeded.
    pub(crate) ok: bool,
    /// What it printed.
    pub(crate) text: String,
}

/// Runs a command to its end, or kills it when the time is over.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Ended {
    let since = Instant::now();
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Ended { ok: false, text: error.to_string() },
    };
    let read = |mut pipe: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = read(Box::new(child.stdout.take().expect("piped")));
    let err = read(Box::new(child.stderr.take().expect("piped")));
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if since.elapsed() < limit => thread::sleep(Duration::from_millis(20)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    let text = [out, err].map(|pipe| pipe.join().unwrap_or_default()).concat();
    Ended { ok: status.is_some_and(|status| status.success()), text }
}
