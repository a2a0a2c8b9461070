//! What people see: results on stdout, talk on stderr.

mod bar;
mod export_progress;
mod filmstrip;
mod format;
mod progress;
mod summary;
mod table;
mod unresolved;

pub(crate) use bar::bar_style;
pub(crate) use export_progress::ExportReporter;
pub(crate) use filmstrip::write_filmstrip;
pub(crate) use format::{bytes, count, duration, one_line};
pub(crate) use progress::Reporter;
pub(crate) use summary::{print_compact, print_summary, summarise};
pub(crate) use table::Table;
pub(crate) use unresolved::{print_unresolved, unresolved_failures};

use std::io::{IsTerminal, Write};

use crate::args::Color;

/// Where talk goes, and how much of it there is.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    /// Whether stderr shows colour.
    has_color: bool,
    /// Whether stderr is a terminal.
    pub(crate) is_terminal: bool,
    pub(crate) is_quiet: bool,
    pub(crate) verbosity: u8,
}

impl Talk {
    pub(crate) fn new(color: Color, is_quiet: bool, verbosity: u8) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let has_color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if is_set("CLICOLOR_FORCE") => true,
            Color::Auto => is_terminal && !is_set("NO_COLOR"),
        };
        Self { has_color, is_terminal, is_quiet, verbosity }
    }

    /// Says something that is not the result.
    pub(crate) fn say(&self, text: &str) {
        if !self.is_quiet {
            self.line(text);
        }
    }

    /// Says something that people need even when they want no talk.
    pub(crate) fn say_anyway(&self, text: &str) {
        self.line(text);
    }

    /// Says something that only those want to know who asked for more.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbosity > 0 {
            self.line(text);
        }
    }

    /// Tells a part of an error: `error`, `cause` or `hint`, and the text.
    pub(crate) fn error(&self, label: &str, text: &str) {
        let padded = format!("{label}:{}", " ".repeat(6_usize.saturating_sub(label.len())));
        match (self.has_color, label) {
            (true, "error") => self.line(&format!("\u{1b}[1;31m{padded}\u{1b}[0m{text}")),
            (true, _) => self.line(&format!("\u{1b}[1m{padded}\u{1b}[0m{text}")),
            (false, _) => self.line(&format!("{padded}{text}")),
        }
    }

    fn line(&self, text: &str) {
        // Talk that nobody can hear any more is no reason to fail.
        writeln!(std::io::stderr().lock(), "{text}").ok();
    }
}

/// Prints a line of the result.
///
/// # Errors
///
/// When stdout is closed, which ends the command quietly.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}

/// Prints a result as JSON, indented.
///
/// # Errors
///
/// When stdout is closed.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string_pretty(value)?)?)
}

/// Prints a result as JSON on a line of its own.
///
/// # Errors
///
/// When stdout is closed.
pub(crate) fn print_json_line(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string(value)?)?)
}

/// Asks a yes-or-no question on the terminal.
///
/// # Errors
///
/// When nobody can answer.
pub(crate) fn confirm(question: &str) -> std::io::Result<bool> {
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
