//! Running commands: with a limit of time, and with all that they print.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a command ended.
pub(crate) struct Ended {
    /// Whether it succeeded.
    pub(crate) ok: bool,
    /// Whether it was killed, because the time was over.
    pub(crate) late: bool,
    /// What it printed.
    pub(crate) text: String,
}

/// Runs a command to its end, or kills it and all that it started when the time is over.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Ended {
    let since = Instant::now();
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Ended { ok: false, late: false, text: error.to_string() },
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
                kill(&mut child);
                break None;
            }
        }
    };
    let text = [out, err].map(|pipe| pipe.join().unwrap_or_default()).concat();
    Ended { ok: status.is_some_and(|status| status.success()), late: status.is_none(), text }
}

/// Kills a command with all that it started: what a script runs would go on without it, and keep the pipes open.
fn kill(child: &mut Child) {
    let others = descendants(child.id());
    let _ = child.kill();
    for process in others {
        let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
    }
    let _ = child.wait();
}

/// The processes that this one started, and that those started; none where the system has no `/proc`.
fn descendants(of: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let parent = |process: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // Behind the name, which may hold anything: the state, then the parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let name = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let all: Vec<(u32, u32)> = entries
        .filter_map(|entry| name(entry.ok()?))
        .filter_map(|process| Some((process, parent(process)?)))
        .collect();
    let mut out = vec![of];
    let mut at = 0;
    while let Some(&next) = out.get(at) {
        out.extend(all.iter().filter(|(_, parent)| *parent == next).map(|(process, _)| *process));
        at += 1;
    }
    out.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of a script held its pipes open, so the hunt was waited for as long as they took.
    #[test]
    fn a_script_that_is_late_ends_with_all_that_it_started() {
        let since = Instant::now();
        let script = "echo begun; (sleep 61; echo no) & sleep 60";
        let ended = run(Command::new("bash").args(["-c", script]), Duration::from_millis(500));
        assert!(!ended.ok && ended.late);
        assert_eq!(ended.text, "begun\n");
        assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    }

    #[test]
    fn a_command_that_ends_by_itself_is_not_late() {
        let ended = run(Command::new("bash").args(["-c", "echo one; echo two >&2"]), Duration::from_mins(1));
        assert!(ended.ok && !ended.late);
        assert_eq!(ended.text, "one\ntwo\n");
    }
}
