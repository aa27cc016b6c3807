//! The curve of bytes against divergence, as a drawing without colours of its own.

use super::html::{Escaped, Nats};
use super::{Point, Way};
use indicatif::HumanCount;
use std::fmt::{self, Display, Formatter};

/// The drawing, and the field of the curve in it.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 350.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = HEIGHT - 44.0;

/// The least divergence that is drawn: a logarithm has no zero.
const LEAST: f64 = 1e-9;
/// What the ranges are wider than those of the points, on either side: names have room
/// beside these.
const MARGINS: [f64; 2] = [0.2, 0.1];
/// Decades from which on only powers of ten have a line.
const MANY_DECADES: f64 = 3.0;

/// How far a label is from its point.
const AWAY: f64 = 9.0;
/// Labels that would leave the drawing on the right are on the left of this.
const RIGHTMOST: f64 = RIGHT - 70.0;

/// The points of images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve<'r>(pub &'r [Point]);

/// An interval of values, and that of the drawing that it lies in.
struct Axis {
    values: [f64; 2],
    places: [f64; 2],
}

impl Axis {
    fn new(values: impl Iterator<Item = f64> + Clone, margin: f64, places: [f64; 2]) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        // One value is a range, too.
        let margin = margin * (most - least).max(1e-3 * most.abs()).max(1e-3);
        Self {
            values: [least - margin, most + margin],
            places,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let ([least, most], [from, to]) = (self.values, self.places);
        from + (value - least) / (most - least) * (to - from)
    }

    fn has(&self, value: f64) -> bool {
        (self.values[0]..=self.values[1]).contains(&value)
    }

    /// Round numbers: about five.
    fn round_numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let about = (self.values[1] - self.values[0]) / 4.0;
        let power = 10f64.powf(about.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
        let step = step.into_iter().find(|&step| step >= about);
        let step = step.unwrap_or(about);
        let first = (self.values[0] / step).ceil();
        let numbers = (0..10).map(move |index| (first + f64::from(index)) * step);
        numbers.filter(|&value| self.has(value))
    }

    /// Logarithms of round numbers: powers of ten, with few of them also their double and
    /// fivefold.
    fn round_logarithms(&self) -> impl Iterator<Item = f64> + '_ {
        let [least, most] = self.values;
        let all = [1.0, 2.0, 5.0];
        let times = match most - least < MANY_DECADES {
            true => &all[..],
            false => &all[..1],
        };
        let times = times.to_vec();
        let powers = least.floor() as i32..=most.ceil() as i32;
        let logarithms = powers.flat_map(move |power| {
            let logarithm = move |times: f64| f64::from(power) + times.log10();
            times.clone().into_iter().map(logarithm)
        });
        logarithms.filter(|&value| self.has(value))
    }
}

impl Curve<'_> {
    /// The points that have a place.
    fn drawn(&self) -> impl Iterator<Item = &Point> + Clone {
        self.0.iter().filter(|point| point.kl().is_finite())
    }

    fn axes(&self) -> [Axis; 2] {
        let bytes = self.drawn().map(|point| point.bytes as f64);
        let logarithms = self.drawn().map(height);
        [
            Axis::new(bytes, MARGINS[0], [LEFT, RIGHT]),
            Axis::new(logarithms, MARGINS[1], [BOTTOM, TOP]),
        ]
    }

    fn write_grid(&self, f: &mut Formatter<'_>, [across, up]: &[Axis; 2]) -> fmt::Result {
        for bytes in across.round_numbers() {
            let (x, label) = (across.place(bytes), HumanCount(bytes as u64));
            writeln!(
                f,
                "<path class=grid d=\"M{x:.1} {TOP}V{BOTTOM}\"/>\
                 <text class=tick text-anchor=middle x={x:.1} y={:.1}>{label}</text>",
                BOTTOM + 16.0
            )?;
        }
        for logarithm in up.round_logarithms() {
            let (y, label) = (up.place(logarithm), Round(10f64.powf(logarithm)));
            writeln!(
                f,
                "<path class=grid d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\
                 <text class=tick text-anchor=end x={:.1} y={:.1}>{label}</text>",
                LEFT - 6.0,
                y + 4.0
            )?;
        }
        let middle = (LEFT + RIGHT) / 2.0;
        writeln!(
            f,
            "<text class=tick text-anchor=middle x={middle} y={:.1}>bytes of the image</text>\
             <text class=tick text-anchor=middle transform=\"translate(12 {:.1}) rotate(-90)\">\
             divergence, nats</text>",
            HEIGHT - 8.0,
            (TOP + BOTTOM) / 2.0
        )
    }

    /// A line through the images that no other one beats.
    fn write_line(&self, f: &mut Formatter<'_>, place: impl Fn(&Point) -> [f64; 2]) -> fmt::Result {
        let is_best = |point: &&Point| !self.drawn().any(|other| other.beats(point));
        let mut best: Vec<&Point> = self.drawn().filter(is_best).collect();
        best.sort_by_key(|point| point.bytes);
        write!(f, "<polyline class=best points=\"")?;
        for point in best {
            let [x, y] = place(point);
            write!(f, "{x:.1},{y:.1} ")?;
        }
        writeln!(f, "\"/>")
    }
}

/// A mark for an image, and its name where it is not one of a budget: those have their bytes
/// in their names.
fn write_mark(f: &mut Formatter<'_>, point: &Point, [x, y]: [f64; 2]) -> fmt::Result {
    let name = Escaped(&point.name);
    let title = format!("<title>{name}: {}</title>", Nats(point.kl()));
    match point.way {
        Way::Given => {
            let (anchor, side) = if x < RIGHTMOST {
                ("start", AWAY)
            } else {
                ("end", -AWAY)
            };
            writeln!(
                f,
                "<circle class=given cx={x:.1} cy={y:.1} r=8>{title}</circle>\
                 <text class=given text-anchor={anchor} x={:.1} y={:.1}>{name}</text>",
                x + side,
                y - AWAY
            )
        }
        Way::Uniform => writeln!(
            f,
            "<circle class=dot cx={x:.1} cy={y:.1} r=4>{title}</circle>\
             <text class=name text-anchor=end x={:.1} y={:.1}>{name}</text>",
            x - AWAY,
            y + AWAY + 6.0
        ),
        Way::Budget => {
            let (x, y) = (x - 4.0, y - 4.0);
            let size = "width=8 height=8";
            writeln!(f, "<rect class=dot x={x:.1} y={y:.1} {size}>{title}</rect>")
        }
    }
}

/// The logarithm of a divergence.
fn height(point: &Point) -> f64 {
    point.kl().max(LEAST).log10()
}

/// A round number as a label.
struct Round(f64);

impl Display for Round {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = Nats(self.0).to_string();
        match text.contains('e') {
            true => write!(f, "{:.0e}", self.0),
            false => f.write_str(text.trim_end_matches('0').trim_end_matches('.')),
        }
    }
}

impl Display for Curve<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.drawn().next().is_none() {
            return Ok(());
        }
        let axes = self.axes();
        let [across, up] = &axes;
        let place = |point: &Point| [across.place(point.bytes as f64), up.place(height(point))];
        writeln!(
            f,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"Bytes and divergence of the images of the table below\">"
        )?;
        self.write_grid(f, &axes)?;
        self.write_line(f, place)?;
        self.drawn()
            .try_for_each(|point| write_mark(f, point, place(point)))?;
        writeln!(f, "</svg>")
    }
}
