//! How progress bars look.

use indicatif::ProgressStyle;

/// Returns the look of a bar; where a template is wrong, and all are constants of ours, a plain bar still shows.
pub(crate) fn bar_style(template: &str) -> ProgressStyle {
    debug_assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("█▉▊▋▌▍▎▏ ")
}
