//! The page: its sections, one after the other.

use super::curve::Curve;
use super::html::{Escaped, Nats};
use super::{MatrixCost, Point, Report, Way, Written};
use indicatif::HumanCount;
use std::fmt::{self, Display, Formatter};

const STYLE: &str = include_str!("style.css");

/// Nothing is loaded, whatever a text says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let image = Escaped(&self.image);
        write!(
            f,
            "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
             <meta http-equiv=Content-Security-Policy content=\"{POLICY}\">\n\
             <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
             <title>{image}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{image}</h1>\n"
        )?;
        self.write_summary(f)?;
        self.write_points(f)?;
        self.write_matrices(f)?;
        self.write_instructions(f)?;
        self.write_texts(f)?;
        writeln!(f, "</body>\n</html>")
    }
}

/// A table with this heading.
fn write_table(
    f: &mut Formatter<'_>,
    heading: &[impl Display],
    rows: impl FnOnce(&mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    write!(f, "<div class=wide><table>\n<thead><tr>")?;
    for cell in heading {
        write!(f, "<th scope=col>{cell}</th>")?;
    }
    writeln!(f, "</tr></thead>\n<tbody>")?;
    rows(f)?;
    writeln!(f, "</tbody></table></div>")
}

impl Report {
    fn given(&self) -> Option<&Point> {
        self.points.iter().find(|point| point.way == Way::Given)
    }

    /// The images with the index that each has, the smallest first.
    fn by_size(&self) -> Vec<(usize, &Point)> {
        let mut points: Vec<_> = self.points.iter().enumerate().collect();
        points.sort_by_key(|(_, point)| point.bytes);
        points
    }

    fn write_summary(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(given) = self.given() else {
            return Ok(());
        };
        let (bytes, kl) = (HumanCount(given.bytes), Nats(given.kl()));
        let [checkpoint, text] = [&self.checkpoint, &self.text].map(|name| Escaped(name));
        let scored = HumanCount(given.scores.scored_bytes);
        write!(
            f,
            "<p>{bytes} bytes; a divergence of {kl} nats a token from <code>{checkpoint}</code>, on {scored} \
             bytes of <code>{text}</code>. "
        )?;
        let better: Vec<&Point> = self.points.iter().filter(|p| p.beats(given)).collect();
        let nearest = better.iter().min_by(|a, b| a.kl().total_cmp(&b.kl()));
        match nearest {
            None => writeln!(f, "No other image below is as small and as near.</p>"),
            Some(point) => {
                let (options, kl) = (Escaped(&point.options), Nats(point.kl()));
                writeln!(
                    f,
                    "One of <code>{options}</code> is no larger, and nearer: {kl} nats.</p>"
                )
            }
        }
    }

    fn write_points(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "<h2>Bytes and divergence</h2>\n<figure>\n{}<figcaption>A ring: this image. Circles: the same bits in all \
             matrices of a kind. Squares: a format for each matrix, by a budget. The line goes through those \
             that no other one beats; the axis of the divergence is logarithmic.</figcaption>\n</figure>",
            Curve(&self.points)
        )?;
        let heading = [
            "image",
            "bytes",
            "divergence",
            "same first choice",
            "bits per byte",
            "made by <code>kinglet quantize</code> with",
        ];
        write_table(f, &heading, |f| {
            self.by_size()
                .iter()
                .try_for_each(|(_, p)| write_point(f, p))
        })?;
        let float = self.given().and_then(|p| p.scores.reference_bits_per_byte);
        match float {
            Some(bits) => writeln!(
                f,
                "<p class=faint>The checkpoint itself: {bits:.4} bits per byte.</p>"
            ),
            None => Ok(()),
        }
    }

    fn write_matrices(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let given = self.given().map_or(f64::NAN, Point::kl);
        let predicted: f64 = self.matrices.iter().map(|m| m.predicted).sum();
        let made = match self.is_compensated {
            true => "whose rounding makes up for itself",
            false => "whose weights are rounded alone",
        };
        writeln!(
            f,
            "<h2>What each matrix costs</h2>\n<p>Measured on texts of the model's own: the divergence where one matrix alone \
             has weights of four bits, or alone reads vectors of eight. From these what its format costs in an image \
             {made} is predicted; the sum is {}, this image has {}. All in nats a token, a row being the sum of all layers.</p>",
            Nats(predicted),
            Nats(given)
        )?;
        let heading = [
            "matrix",
            "in this image",
            "predicted",
            "4 bits alone",
            "8-bit vectors alone",
        ];
        let of_names = self.by_name();
        write_table(f, &heading, |f| write_costs(f, &of_names))?;
        writeln!(f, "<details><summary>Every matrix</summary>")?;
        write_table(f, &heading, |f| write_costs(f, &self.matrices))?;
        writeln!(f, "</details>")
    }

    /// Sums over the layers, in order of the first.
    fn by_name(&self) -> Vec<MatrixCost> {
        let mut sums: Vec<MatrixCost> = Vec::new();
        for cost in &self.matrices {
            let Some(sum) = sums.iter_mut().find(|sum| sum.name == cost.name) else {
                sums.push(MatrixCost {
                    layer: None,
                    ..cost.clone()
                });
                continue;
            };
            sum.weights += cost.weights;
            sum.vectors += cost.vectors;
            sum.predicted += cost.predicted;
            if !sum.format.split(", ").any(|format| format == cost.format) {
                sum.format += &format!(", {}", cost.format);
            }
        }
        sums
    }

    fn write_instructions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "<h2>Instructions of a token</h2>\n<p>Predicted from counts in an emulator, for each image as it is packed for \
             the core.</p>"
        )?;
        let cores = self.cores.iter().map(|core| Escaped(core).to_string());
        let heading: Vec<String> = ["image".to_owned()].into_iter().chain(cores).collect();
        write_table(f, &heading, |f| {
            for (_, point) in self.by_size() {
                write!(f, "{}<td>{}</td>", Row(point), Escaped(&point.name))?;
                for count in &point.instructions {
                    match count {
                        Some(count) => write!(f, "<td>{}</td>", HumanCount(*count)),
                        None => write!(f, "<td>not measured</td>"),
                    }?;
                }
                writeln!(f, "</tr>")?;
            }
            Ok(())
        })
    }

    fn write_texts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "<h2>What they write</h2>\n<p>After the beginning of a text, always the likeliest token. From where a text is no \
             longer the checkpoint's it is underlined.</p>"
        )?;
        self.written.iter().try_for_each(|w| self.write_text(f, w))
    }

    fn write_text(&self, f: &mut Formatter<'_>, written: &Written) -> fmt::Result {
        let (beginning, exact) = (Escaped(&written.beginning), Escaped(&written.exact));
        writeln!(
            f,
            "<p class=text><b>{beginning}</b></p>\n<div class=texts>\n\
             <article><h3>The checkpoint</h3><p class=text>{exact}</p></article>"
        )?;
        for (index, point) in self.by_size() {
            let Some(text) = written.others.get(index) else {
                continue;
            };
            let (same, other) = text.split_at(common(&written.exact, text));
            let class = match point.way {
                Way::Given => " class=given",
                Way::Uniform | Way::Budget => "",
            };
            write!(f, "<article{class}><h3>{}</h3>", Escaped(&point.name))?;
            match text == &written.exact {
                true => write!(f, "<p class=faint>The same text.</p>"),
                false => {
                    let letters = same.chars().count();
                    let (same, other) = (Escaped(same), Escaped(other));
                    write!(
                        f,
                        "<p class=faint>The first {letters} characters are the same.</p>\
                         <p class=text>{same}<u>{other}</u></p>"
                    )
                }
            }?;
            writeln!(f, "</article>")?;
        }
        writeln!(f, "</div>")
    }
}

/// Bytes that two texts begin with, whole characters.
fn common(a: &str, b: &str) -> usize {
    let pairs = a.chars().zip(b.chars());
    let same = pairs.take_while(|(a, b)| a == b);
    same.map(|(c, _)| c.len_utf8()).sum()
}

/// The beginning of an image's row, which the given one stands out by.
struct Row<'r>(&'r Point);

impl Display for Row<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.way {
            Way::Given => f.write_str("<tr class=given>"),
            Way::Uniform | Way::Budget => f.write_str("<tr>"),
        }
    }
}

fn write_point(f: &mut Formatter<'_>, point: &Point) -> fmt::Result {
    let (name, options) = (Escaped(&point.name), Escaped(&point.options));
    let (bytes, kl) = (point.bytes, point.kl());
    let top1 = 100.0 * point.scores.top1.unwrap_or(f64::NAN);
    writeln!(
        f,
        "{}<td>{name}</td><td data-bytes=\"{bytes}\">{}</td><td data-kl=\"{kl}\">{}</td><td>{top1:.2} %</td><td>{:.4}</td>\
         <td><code>{options}</code></td></tr>",
        Row(point),
        HumanCount(bytes),
        Nats(kl),
        point.scores.bits_per_byte
    )
}

/// A row for each, with bars beside the numbers.
fn write_costs(f: &mut Formatter<'_>, costs: &[MatrixCost]) -> fmt::Result {
    let figures = |cost: &MatrixCost| [cost.predicted, cost.weights, cost.vectors];
    let most = costs.iter().map(figures).fold([0f64; 3], |most, of| {
        [0, 1, 2].map(|index| most[index].max(of[index]))
    });
    for cost in costs {
        let layer = cost.layer.map(|layer| format!("blocks.{layer}."));
        let (layer, name) = (layer.unwrap_or_default(), Escaped(&cost.name));
        let format = Escaped(&cost.format);
        write!(f, "<tr><td>{layer}{name}</td><td>{format}</td>")?;
        for (value, most) in figures(cost).into_iter().zip(most) {
            let percent = if most > 0.0 {
                100.0 * value / most
            } else {
                0.0
            };
            write!(
                f,
                "<td>{}<i style=\"width:{percent:.0}%\"></i></td>",
                Nats(value)
            )?;
        }
        writeln!(f, "</tr>")?;
    }
    Ok(())
}
