//! A page about an image beside others of its checkpoint: one file of HTML, which
//! needs nothing else.

mod curve;
mod html;
mod page;
mod writing;

pub(crate) use html::Escaped;
pub use writing::{written, Written};

use crate::eval::Scores;

/// What the page shows.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file of the image.
    pub image: String,
    /// The file of the checkpoint.
    pub checkpoint: String,
    /// The file of the text that was scored.
    pub text: String,
    /// The images: first the one that the page is about.
    pub points: Vec<Point>,
    /// The cores that instructions were counted on.
    pub cores: Vec<String>,
    /// The matrices of the image, in stored order.
    pub matrices: Vec<MatrixCost>,
    /// Whether the images are compensated, and so what is predicted of matrices.
    pub is_compensated: bool,
    /// What the checkpoint and the images write.
    pub written: Vec<Written>,
}

/// An image.
#[derive(Clone, Debug)]
pub struct Point {
    /// What people call it.
    pub name: String,
    /// The options of `kinglet quantize` that it was made with; none of the image that
    /// was given.
    pub options: String,
    /// How its formats came about.
    pub way: Way,
    /// Bytes of the whole image.
    pub bytes: u64,
    /// How far it is from the checkpoint.
    pub scores: Scores,
    /// The predicted instructions of a token on each core; none where that was not measured.
    pub instructions: Vec<Option<u64>>,
}

impl Point {
    /// The divergence from the checkpoint, in nats for each token.
    fn kl(&self) -> f64 {
        self.scores.kl.unwrap_or(f64::NAN)
    }

    /// Whether it is no larger and no farther than another one, and not the same.
    fn beats(&self, other: &Self) -> bool {
        let is_as_good = self.bytes <= other.bytes && self.kl() <= other.kl();
        is_as_good && (self.bytes, self.kl()) != (other.bytes, other.kl())
    }
}

/// How the formats of an image came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is the image that was given.
    Given,
    /// All matrices of a kind have one format.
    Uniform,
    /// Each matrix has a format of its own, by a budget.
    Budget,
}

/// What a matrix costs, in nats for each token.
#[derive(Clone, Debug)]
pub struct MatrixCost {
    /// The part's name without its layer.
    pub name: String,
    /// Its layer.
    pub layer: Option<usize>,
    /// Its format in the image.
    pub format: String,
    /// What it costs where it alone is rounded, to four bits.
    pub weights: f64,
    /// What it costs where it alone reads vectors of eight bits.
    pub vectors: f64,
    /// What that predicts for its format in the image.
    pub predicted: f64,
}
