//! What a training says of itself: a progress bar, or where that would not be
//! seen a line for every validation.

use super::goes_on;
use super::options::Args;
use crate::checkpoint::CheckpointError;
use crate::cli::mention;
use crate::cli::output::bar;
use crate::output::Stop;
use crate::train::prepare::Prepared;
use crate::train::run::{Observer, Point, Report};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// All of it goes to standard error.
pub(super) struct Watcher<'w> {
    pub bar: ProgressBar,
    unit: String,
    /// A moving average of the loss.
    smooth: Option<f64>,
    /// Why the last save failed, if it did.
    trouble: Option<String>,
    save_every: Duration,
    stop: &'w Stop,
}

impl<'w> Watcher<'w> {
    pub fn new(args: &Args, prepared: &Prepared, stop: &'w Stop) -> Self {
        let template = "training {wide_bar} {percent} % {msg} left {eta}";
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            bar: bar(1000).with_style(style),
            unit: prepared.data.unit().replace(" per ", "/"),
            smooth: None,
            trouble: None,
            save_every: Duration::from_secs_f64(args.save_every.max(0.0)),
            stop,
        }
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| mention(text));
    }
}

impl Observer for Watcher<'_> {
    fn resumed(&mut self, step: u32, share: f64) {
        self.say(&format!(
            "goes on at step {step}, {:.0} % done",
            100.0 * share
        ));
    }

    fn step(&mut self, report: Report) {
        let mean: &mut f64 = self.smooth.get_or_insert(report.loss);
        *mean += 0.02 * (report.loss - *mean);
        self.bar.set_position((1000.0 * report.share) as u64);
        self.bar.set_message(format!(
            "step {} {mean:.4} {} {:.0} tokens/s",
            report.step, self.unit, report.tokens_per_second
        ));
    }

    fn validated(&mut self, report: Report, point: Point) {
        if self.bar.is_hidden() {
            self.say(&format!(
                "step {}, {:.0} % done: {:.4} {unit} learned, {:.4} {unit} validation, {:.0} tokens/s",
                point.step,
                100.0 * report.share,
                point.learned,
                point.validation,
                report.tokens_per_second,
                unit = self.unit,
            ));
        }
    }

    fn saved(&mut self, step: u32) {
        if self.trouble.take().is_some() {
            self.say(&format!("saved again, at step {step}"));
        }
    }

    /// A full disk fails many saves in a row: one warning is enough.
    fn not_saved(&mut self, error: CheckpointError, last: Option<u32>) {
        let error = error.to_string();
        if self.trouble.as_ref() != Some(&error) {
            let last = goes_on(last);
            self.say(&format!("warning: {error}; the training continues; {last}"));
            self.trouble = Some(error);
        }
    }

    fn save_every(&self) -> Duration {
        self.save_every
    }

    fn stops(&self) -> bool {
        self.stop.has_come()
    }
}
