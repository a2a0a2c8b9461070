//! Runs loops of generative models, records every step, and measures the trajectories.
//!
//! This crate is the only one that prints, asks or exits. Results go to stdout, talk goes to stderr; colour never
//! carries meaning. Exit codes: 0 done · 1 failed, or doctor found a violation · 2 usage or config · 3 finished with
//! some runs failed or waiting for a model · 130 interrupted, everything saved.

mod args;
mod command;
mod failure;
mod memory;
mod next;
mod report;
mod signals;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let talk = report::Talk::new(cli.global.color, cli.global.quiet, cli.global.verbose);
    let global = cli.global.clone();
    let is_event_stream = global.json && cli.command.as_ref().is_some_and(args::Command::tells_events);
    match command::execute(cli, &talk) {
        Ok(exit) => exit.into(),
        Err(error) => {
            if is_event_stream {
                failure::tell_as_event(&error);
            }
            failure::tell(&error, &global, &talk).into()
        }
    }
}
