//! The program `tape`. All of it is in the library beside it, so that tests reach the parsers.

use std::process::ExitCode;

fn main() -> ExitCode {
    tape_cli::main()
}
