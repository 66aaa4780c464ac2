//! A small sample of what `smoke.sh` does at length.

use std::process::Command;

#[test]
fn acknowledged_commits_outlive_killed_processes() {
    let output = Command::new(env!("CARGO_BIN_EXE_tape-kill"))
        .args(["run", "50", "1"])
        .output()
        .expect("the program was built for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("torture: kill -9 | 50 kills"), "{said}");
}
