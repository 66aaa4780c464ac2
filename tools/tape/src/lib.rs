//! The Tapestore command line. The only place in the project that prints or exits.
//!
//! Data goes to standard output, everything else to standard error. `args` is the grammar, `commands` what it does,
//! `import` reads files, `output` writes rows and tables, `demo` tells a story. [`main`] is all of it; [`probe`] is
//! for fuzzing only.

mod args;
mod commands;
mod demo;
mod fail;
mod import;
mod output;
#[doc(hidden)]
pub mod probe;
mod progress;
mod when;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use commands::read::End;
use commands::{
    Context, aggregate, coverage, inspect, list, market, read, repair, retain, tail, upkeep, versions,
};
use fail::{CLEAN, Fail, Result};
use output::note;
use tapestore_text::{number, stamp as calendar};

/// Does what the arguments of the process ask for; the exit code says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version are answers, not errors.
            if !answer.use_stderr() {
                let _ = answer.print();
                return ExitCode::from(CLEAN);
            }
            // It repeats what was given, which may be anything.
            answer.to_string().lines().for_each(|line| note(false, line));
            return ExitCode::from(fail::USAGE);
        }
    };
    let context = Context { store: cli.store, json: cli.json, quiet: cli.quiet };
    match run(&context, cli.command) {
        Ok(()) => ExitCode::from(CLEAN),
        Err(Fail::Quiet) => ExitCode::from(Fail::Quiet.code()),
        Err(fail) => {
            note(false, &format!("tape: {}", fail.to_string().replace('\n', " ")));
            ExitCode::from(fail.code())
        }
    }
}

fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Init => upkeep::init(context),
        Command::Import(arguments) => commands::import::run(context, &arguments),
        Command::Fetch(arguments) => commands::fetch::run_fetch(context, &arguments),
        Command::Config(command) => commands::config::run(context, &command),
        Command::Alerts(command) => commands::alerts::run(context, &command),
        Command::Status(arguments) => commands::status::run(context, &arguments),
        Command::Report(arguments) => commands::report::run(context, &arguments),
        Command::Ls(arguments) => list::ls(context, &arguments),
        Command::Info(arguments) => list::info(context, &arguments),
        Command::Head(arguments) => read::ends(context, &arguments, End::First),
        Command::Tail(arguments) => tail::run(context, &arguments),
        Command::Show(arguments) => read::show(context, &arguments),
        Command::Aggregate(arguments) => aggregate::run(context, &arguments),
        Command::Export(arguments) => read::export(context, &arguments),
        Command::Latest(arguments) => read::latest(context, &arguments),
        Command::Resample(arguments) => market::resample(context, &arguments),
        Command::Join(arguments) => market::join(context, &arguments),
        Command::Panel(arguments) => market::panel(context, &arguments),
        Command::Average(arguments) => market::average(context, &arguments),
        Command::Explore(arguments) => commands::explore::run(context, &arguments),
        Command::Calendar(arguments) => commands::calendar::run(context, &arguments),
        Command::Backtest(arguments) => commands::backtest::run(context, &arguments),
        Command::Adjust(arguments) => market::adjust(context, &arguments),
        Command::Book(arguments) => market::book(context, &arguments),
        Command::Table(arguments) => commands::table::run(context, &arguments),
        Command::Gaps(arguments) => coverage::gaps(context, &arguments),
        Command::Coverage(arguments) => coverage::coverage(context, &arguments),
        Command::Quality(arguments) => commands::quality::run(context, &arguments),
        Command::Log(arguments) => versions::log(context, &arguments),
        Command::Schema(command) => commands::schema::run(context, &command),
        Command::Snapshot(arguments) => versions::snapshot(context, &arguments),
        Command::Rollback(arguments) => versions::rollback(context, &arguments),
        Command::Delete(arguments) => versions::delete(context, &arguments),
        Command::Factor(command) => commands::factor::run(context, &command),
        Command::Retain(arguments) => retain::run(context, &arguments),
        Command::Prune(arguments) => versions::prune(context, &arguments),
        Command::Compact(arguments) => upkeep::compact(context, &arguments),
        Command::Verify(arguments) => upkeep::verify(context, &arguments),
        Command::Repair(arguments) => repair::run(context, &arguments),
        Command::Inspect(arguments) => inspect::run(context, &arguments),
        Command::Stats => list::stats(context),
        Command::Backup(arguments) => upkeep::backup(context, &arguments),
        Command::Completions(arguments) => upkeep::completions(&arguments),
        Command::Demo(arguments) => demo::run(context, &arguments),
    }
}
