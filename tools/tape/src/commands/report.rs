//! `tape report`: the state of a store as one page, and as JSON.

use std::io::Write;
use std::path::Path;

use tapestore_report::{Bounds, Report, json, page};

use super::watched::Setup;
use super::{Context, range};
use crate::args::alerts::Report as Arguments;
use crate::fail::{Fail, Result};
use crate::number::{bytes, grouped};
use crate::output::{Out, note};
use crate::when::now_ns;

/// Runs `tape report`.
pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let to_page = arguments.output.as_deref();
    if to_page.is_none() && arguments.data.is_none() && !context.json {
        let text =
            "what is to be written? --output FILE is the page, --data FILE and --json the same as JSON";
        return Err(Fail::Usage(text.to_owned()));
    }
    if context.json && to_page == Some(Path::new("-")) {
        let text = "--json and --output - both write to standard output; name a file for one of them";
        return Err(Fail::Usage(text.to_owned()));
    }
    let setup = Setup::load(context, arguments.config.as_deref())?;
    let range = range(&arguments.span)?;
    let store = setup.context.open_to_read()?;
    let (view, now) = (store.view(), now_ns());
    let keys = view.keys();
    let unknown = |name: &&String| keys.iter().all(|key| key.is_own() || key.instrument() != name.as_str());
    if let Some(name) = arguments.instruments.iter().find(unknown) {
        return Err(Fail::Usage(format!("there is no instrument {name:?} in the store; tape ls lists them")));
    }
    let knowledge = setup.knowledge(&store, &view, now)?;
    let asked = (range, arguments.instruments.clone());
    let report = Report::gather(&store, &view, &knowledge, asked, Bounds::default(), now)?;
    if let Some(path) = &arguments.data {
        let mut out = Out::create(path, true)?;
        out.write_all(&json::report(&report).line())?;
        out.finish()?;
    }
    if context.json {
        let mut out = Out::stdout();
        out.write_all(&json::report(&report).line())?;
        out.finish()?;
    }
    if let Some(path) = to_page {
        let text = page::html(&report);
        let mut out = Out::create(path, true)?;
        out.write_all(text.as_bytes())?;
        out.finish()?;
        let series = grouped(report.overview.lines.len() as u64);
        let size = bytes(text.len() as u64);
        note(context.quiet, &format!("tape: {size} about {series} series in {}", path.display()));
    }
    Ok(())
}
