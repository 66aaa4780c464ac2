//! A page in headless Chromium, driven over its debugging pipe: what it logs, what it asks of a network, how wide it is.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use simd_json::OwnedValue;
use simd_json::prelude::*;

/// How long a browser may take to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// What came of opening a page.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Messages and errors of its console, and of the browser about it.
    pub(crate) console: Vec<String>,
    /// URLs that it asked for.
    pub(crate) requests: Vec<String>,
    /// Width of its content, in pixels.
    pub(crate) width: u64,
    /// Pictures, and characters of text.
    pub(crate) content: (u64, u64),
}

/// A browser; it ends when dropped.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<OwnedValue>,
    number: u64,
    _profile: tempfile::TempDir,
}

/// The program, if there is one.
pub(crate) fn program() -> Option<&'static str> {
    let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|it| it.status.success());
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| runs(name))
}

impl Browser {
    pub(crate) fn start(program: &str) -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        // The pipe is at file descriptors 3 and 4: the shell puts ours there.
        let script = "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh", program])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-pipe",
                "--no-first-run",
            ])
            .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop();
                let parsed = simd_json::to_owned_value(&mut message).expect("the browser speaks JSON");
                if sender.send(parsed).is_err() {
                    return;
                }
                message.clear();
            }
        });
        Self { child, input, messages, number: 0, _profile: profile }
    }

    /// Sends a command and waits for its answer; what comes meanwhile is noted.
    fn call(&mut self, session: Option<&str>, method: &str, parameters: &str, seen: &mut Seen) -> OwnedValue {
        self.number += 1;
        let session = session.map_or_else(String::new, |id| format!(",\"sessionId\":\"{id}\""));
        let text =
            format!("{{\"id\":{},\"method\":\"{method}\",\"params\":{parameters}{session}}}\0", self.number);
        self.input.write_all(text.as_bytes()).expect("the browser listens");
        let number = self.number;
        let mut answer = self.wait(seen, |message| message.get_u64("id") == Some(number));
        assert!(answer.get("error").is_none(), "{method}: {answer:?}");
        answer.remove("result").ok().flatten().unwrap_or_default()
    }

    fn wait(&mut self, seen: &mut Seen, wanted: impl Fn(&OwnedValue) -> bool) -> OwnedValue {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).expect("the browser answers");
            note(&message, seen);
            if wanted(&message) {
                return message;
            }
        }
    }

    /// Opens a page in a window of this width, as readers with this scheme of colours see it.
    pub(crate) fn open(&mut self, page: &Path, width: u64, scheme: &str) -> Seen {
        let mut seen = Seen::default();
        let target = self.call(None, "Target.createTarget", "{\"url\":\"about:blank\"}", &mut seen);
        let target = target.get_str("targetId").expect("a target").to_owned();
        let attach = format!("{{\"targetId\":\"{target}\",\"flatten\":true}}");
        let attached = self.call(None, "Target.attachToTarget", &attach, &mut seen);
        let session = attached.get_str("sessionId").expect("a session").to_owned();
        let session = Some(session.as_str());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(session, &format!("{domain}.enable"), "{}", &mut seen);
        }
        let size = format!("{{\"width\":{width},\"height\":900,\"deviceScaleFactor\":1,\"mobile\":false}}");
        self.call(session, "Emulation.setDeviceMetricsOverride", &size, &mut seen);
        let media =
            format!("{{\"features\":[{{\"name\":\"prefers-color-scheme\",\"value\":\"{scheme}\"}}]}}");
        self.call(session, "Emulation.setEmulatedMedia", &media, &mut seen);
        seen = Seen::default();
        let url = format!("{{\"url\":\"file://{}\"}}", page.display());
        self.call(session, "Page.navigate", &url, &mut seen);
        self.wait(&mut seen, |message| message.get_str("method") == Some("Page.loadEventFired"));
        // Whatever a page would do after it is there.
        std::thread::sleep(Duration::from_millis(300));
        let mut number = |what: &str| {
            let ask = format!("{{\"expression\":\"{what}\"}}");
            let answer = self.call(session, "Runtime.evaluate", &ask, &mut seen);
            answer.get("result").and_then(|it| it.get_u64("value")).unwrap_or_else(|| panic!("{answer:?}"))
        };
        let width = number("document.documentElement.scrollWidth");
        let content =
            (number("document.querySelectorAll('svg').length"), number("document.body.innerText.length"));
        self.call(None, "Target.closeTarget", &format!("{{\"targetId\":\"{target}\"}}"), &mut seen);
        Seen { width, content, ..seen }
    }
}

/// What a browser tells without being asked.
fn note(message: &OwnedValue, seen: &mut Seen) {
    let Some(parameters) = message.get("params") else { return };
    match message.get_str("method") {
        Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") => {
            seen.console.push(format!("{parameters:?}"));
        }
        Some("Network.requestWillBeSent") => {
            let url = parameters.get("request").and_then(|request| request.get_str("url"));
            seen.requests.extend(url.map(str::to_owned));
        }
        _ => {}
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.input.write_all(b"{\"id\":1000000,\"method\":\"Browser.close\"}\0");
        let until = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > until {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
