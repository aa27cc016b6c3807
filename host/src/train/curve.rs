//! The loss curve as a picture.

use super::run::Point;
use plotters::prelude::*;
use std::path::{Path, PathBuf};

const SIZE: (u32, u32) = (800, 480);

/// The names of the two lines, which tell a curve from other pictures.
const NAMES: [&str; 2] = ["learned", "validation"];

/// Where the curve of a checkpoint is.
pub fn curve_file(output: &Path) -> PathBuf {
    output.with_extension("svg")
}

/// Whether a file is a curve.
pub fn is_curve(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (width, height) = SIZE;
    let has = |name| text.contains(&format!("\n{name}\n</text>"));
    text.starts_with(&format!("<svg width=\"{width}\" height=\"{height}\""))
        && NAMES.into_iter().all(has)
}

/// An SVG of the losses over the steps; empty axes without points.
pub fn curve(points: &[Point]) -> String {
    let mut text = String::new();
    // Drawing into memory does not fail.
    let _ = draw(&mut text, points);
    text
}

fn draw<'t>(text: &'t mut String, points: &[Point]) -> Result<(), Box<dyn std::error::Error + 't>> {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let last = points.last().map_or(1, |point| point.step.max(1));
    let losses = || points.iter().flat_map(|p| [p.learned, p.validation]);
    let low = losses().fold(f64::INFINITY, f64::min).min(1e6);
    let high = losses().fold(f64::NEG_INFINITY, f64::max).max(low + 1e-3);
    let margin = 0.05 * (high - low);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0..last, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .x_desc("steps")
        .y_desc("loss")
        .light_line_style(WHITE)
        .draw()?;
    let learned: Vec<_> = points.iter().map(|p| (p.step, p.learned)).collect();
    let validation: Vec<_> = points.iter().map(|p| (p.step, p.validation)).collect();
    let lines = [(BLUE, learned), (RED, validation)];
    for (name, (color, line)) in NAMES.into_iter().zip(lines) {
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }
    chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}
