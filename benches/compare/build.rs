//! Stamps the commit that is built: what a run measures is what was compiled, whatever is checked out by then.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let run = Command::new("git").args(arguments).output().ok().filter(|run| run.status.success())?;
    Some(String::from_utf8_lossy(&run.stdout).trim().to_owned())
}

fn main() {
    // Each commit and checkout is written to the log of HEAD.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    for sources in
        ["build.rs", "Cargo.toml", "Cargo.lock", "src", "../../engine/store/src", "../../engine/format/src"]
    {
        println!("cargo:rerun-if-changed={sources}");
    }
    let commit =
        git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "no commit that is known".to_owned());
    let changed = git(&[
        "status",
        "--porcelain",
        "--",
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "../../engine/store/src",
        "../../engine/format/src",
    ]);
    let changed = if changed.is_none_or(|lines| lines.is_empty()) { "" } else { ", changed" };
    println!("cargo:rustc-env=TAPE_COMMIT={commit}{changed}");
}
