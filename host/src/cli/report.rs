//! `kinglet eval --report`: an image beside others of its checkpoint.

use super::bad_use;
use super::calibration::CalibrationArgs;
use super::formats::{probes, set_formats};
use super::output::{progress_bar, write_file};
use super::quantize::formats_of;
use crate::engine::{Engine, ImageFile};
use crate::eval::Scores;
use crate::model::Model;
use crate::pack::{image_parts, pack, shape, Formats, Options, StoredPart};
use crate::plan::{layout, Costs, Planned};
use crate::quantize::choice::predicted;
use crate::quantize::sensitivity::Sensitivity;
use crate::report::{MatrixCost, Point, Report, Way, Written};
use anyhow::{Context, Result};
use kinglet::image::Metadata;
use kinglet::Shape;
use kinglet_targets::{Core, CORES, DEFAULT_MACHINE};
use std::io::Write;
use std::path::Path;

/// Budgets between two sizes are whole multiples of this.
const BUDGET_STEP: u64 = 1000;

/// The images of a report, and what is known of their matrices.
#[derive(Debug)]
pub struct Images {
    /// The image that was given.
    given: Planned,
    others: Vec<Other>,
    /// Those others, in their order.
    pub engines: Vec<Engine>,
    matrices: Vec<MatrixCost>,
    is_compensated: bool,
}

/// How an image is made.
#[derive(Debug)]
struct Other {
    name: String,
    options: String,
    way: Way,
    planned: Planned,
}

/// The files of a report.
#[derive(Clone, Copy, Debug)]
pub struct Files<'f> {
    /// The image.
    pub image: &'f Path,
    /// The checkpoint.
    pub checkpoint: &'f Path,
    /// The text that was scored.
    pub text: &'f Path,
}

/// Makes images of the checkpoint, to compare the given one with: such as `quantize`
/// makes.
pub fn images(given: &Engine, model: &Model, gn_eps: f32, files: Files<'_>) -> Result<Images> {
    let Some(image) = given.image() else {
        let file = files.image.display();
        return bad_use(format!(
            "{file}: --report is about an image; make one with `kinglet quantize`"
        ));
    };
    let given = Planned::new(image.header(), image_parts(&image));
    let mut options = Options {
        layout: given.shape.layout,
        state: given.shape.state,
        gn_eps,
        ..Options::of(Formats::INT8)
    };
    let (own, parts) = shape(model.version(), &model.dimensions(), &options)?;
    if !is_same_model(&own, &given.shape) {
        let [image, checkpoint] = [files.image, files.checkpoint].map(Path::display);
        return bad_use(format!(
            "{image} was not made of {checkpoint}: their sizes differ; --report needs both"
        ));
    }
    let calibration = CalibrationArgs::default();
    let texts = calibration.texts(model, &options, true)?;
    let texts = texts.context("texts are always written where formats are chosen")?;
    if !calibration.rounds_alone(model) {
        options.calibration = Some(&texts);
    }
    let found = probes(model, gn_eps, &parts, &texts)?;
    let is_compensated = options.calibration.is_some();
    let others = Planning {
        given: &given,
        options: &options,
        model,
        found: &found,
    }
    .others()?;
    let engines = packed(model, &options, &others)?;
    let matrices = matrix_costs(&given.parts, &found, is_compensated);
    Ok(Images {
        given,
        others,
        engines,
        matrices,
        is_compensated,
    })
}

/// Whether two shapes are of one model, whatever its formats.
fn is_same_model(checkpoint: &Shape, image: &Shape) -> bool {
    let (formats, gn_eps) = (image.formats, image.gn_eps);
    Shape {
        formats,
        gn_eps,
        ..*checkpoint
    } == *image
}

/// What the images are planned by.
struct Planning<'p> {
    given: &'p Planned,
    options: &'p Options<'p>,
    model: &'p Model,
    found: &'p [Sensitivity],
}

impl Planning<'_> {
    /// The images with the usual formats, and some with budgets: one of the given image's
    /// bytes, those between two usual ones, and one of the largest's. No two have the same
    /// formats.
    fn others(&self) -> Result<Vec<Other>> {
        let usual = [
            (
                "all int4",
                "--weights int4 --head int4 --embedding int4 --keys int4",
            ),
            ("int4", "--weights int4"),
            ("int6", "--weights int6"),
            ("int8", "--weights int8"),
        ];
        let usual = usual.map(|(name, options)| self.other(name, options, Way::Uniform));
        let mut others = usual.into_iter().collect::<Result<Vec<_>>>()?;
        let sizes: Vec<u64> = others
            .iter()
            .map(|other| other.planned.image_bytes())
            .collect();
        let between = sizes
            .windows(2)
            .map(|pair| (pair[0] + pair[1]) / 2 / BUDGET_STEP * BUDGET_STEP);
        let own = [self.given.image_bytes()].into_iter();
        for bytes in own.chain(between).chain(sizes.last().copied()) {
            if sizes.iter().all(|&size| size > bytes) {
                // No choice of formats is as small.
                continue;
            }
            let other = self.budget(bytes)?;
            if !others
                .iter()
                .any(|made| made.planned.parts == other.planned.parts)
            {
                others.push(other);
            }
        }
        Ok(others)
    }

    fn budget(&self, bytes: u64) -> Result<Other> {
        let name = format!("budget {}", super::table::thousands(bytes));
        self.other(&name, &format!("--budget {bytes}"), Way::Budget)
    }

    /// The image that `quantize` makes with these options.
    fn other(&self, name: &str, options: &str, way: Way) -> Result<Other> {
        let formats = formats_of(options)?;
        let asked = Options {
            formats: formats.asked()?,
            ..self.options.clone()
        };
        let (shape, parts) = shape(self.model.version(), &self.model.dimensions(), &asked)?;
        let besides_bytes = self.given.besides_bytes;
        let mut planned = Planned {
            shape,
            parts,
            besides_bytes,
        };
        let found = |_: &[StoredPart]| Ok(self.found.to_vec());
        let is_compensated = self.options.calibration.is_some();
        let on = (core_of(&self.given.shape), None);
        formats.choose(is_compensated, &mut planned, found, on)?;
        let [name, options] = [name, options].map(str::to_owned);
        Ok(Other {
            name,
            options,
            way,
            planned,
        })
    }
}

/// The core that formats are chosen for: the one that `quantize` takes, if the image is for
/// its family.
fn core_of(shape: &Shape) -> &'static Core {
    let default = DEFAULT_MACHINE.core;
    let all = [default].into_iter().chain(CORES);
    let mut own = all.filter(|core| layout(core) == shape.layout);
    own.next().unwrap_or(default)
}

/// The images themselves.
fn packed(model: &Model, options: &Options<'_>, others: &[Other]) -> Result<Vec<Engine>> {
    let nothing = Metadata::default();
    let bar = progress_bar(others.len() as u64, "quantizing");
    let engines = others.iter().map(|other| {
        let mut options = options.clone();
        set_formats(&mut options.formats, &other.planned.parts);
        let packed = pack(model, &options, &nothing, |_, _| {})?;
        bar.inc(1);
        Ok(Engine::of_image(ImageFile::new(&packed.bytes)?))
    });
    let engines = engines.collect();
    bar.finish_and_clear();
    engines
}

/// What the matrices cost that have a choice.
fn matrix_costs(
    parts: &[StoredPart],
    found: &[Sensitivity],
    is_compensated: bool,
) -> Vec<MatrixCost> {
    let chosen = parts.iter().filter(|part| part.has_choice());
    let cost = |(part, cost): (&StoredPart, &Sensitivity)| MatrixCost {
        name: part.part.name.trim_end_matches(".weight").to_owned(),
        layer: part.layer,
        format: part.format().name(),
        weights: cost.weights,
        vectors: cost.vectors,
        predicted: predicted(cost, part.format(), is_compensated),
    };
    chosen.zip(found).map(cost).collect()
}

impl Images {
    /// Writes the page; `scores` are those of the given image and of the others.
    pub fn write(
        self,
        path: &Path,
        files: Files<'_>,
        scores: Vec<Scores>,
        written: Vec<Written>,
    ) -> Result<()> {
        let given = Other {
            name: "this image".to_owned(),
            options: String::new(),
            way: Way::Given,
            planned: self.given,
        };
        let costs = Costs::measured().context("the program's table of costs cannot be read")?;
        let cores: Vec<&Core> = CORES
            .iter()
            .filter(|core| core.first_of_code() == *core)
            .collect();
        let point = |(other, scores): (Other, Scores)| Point {
            bytes: other.planned.image_bytes(),
            instructions: cores
                .iter()
                .map(|core| costs.token(core, &other.planned))
                .collect(),
            name: other.name,
            options: other.options,
            way: other.way,
            scores,
        };
        let points = [given]
            .into_iter()
            .chain(self.others)
            .zip(scores)
            .map(point);
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let report = Report {
            image: name(files.image),
            checkpoint: name(files.checkpoint),
            text: name(files.text),
            points: points.collect(),
            cores: cores.iter().map(|core| title(core)).collect(),
            matrices: self.matrices,
            is_compensated: self.is_compensated,
            written,
        };
        write_file(path, |file| Ok(write!(file, "{report}")?))
    }
}

/// The names of the cores that run this one's code.
fn title(core: &Core) -> String {
    let same = CORES.iter().filter(|other| other.first_of_code() == core);
    let titles: Vec<&str> = same.map(|core| core.title).collect();
    titles.join(", ")
}
