//! The answer of a model of labels: the likeliest class and how likely it is.

use super::softmax::Softmax;
use crate::Sample;

/// The likeliest of the classes seen.
///
/// Logits can be seen all at once or block by block, with the same result,
/// bit for bit: `session.choose(token, &mut answer)`, as with a sampler.
///
/// The probability is that of the softmax.
///
/// # Example
/// ```
/// let answer = kinglet::Answer::of(&[0, 3 << 16, -1 << 16]);
/// assert_eq!(answer.class, 1);
/// assert_eq!(answer.percent(), 94);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer {
    /// The class, a row of the head; `Metadata::label` has its name. Of equals
    /// the first.
    pub class: u32,
    softmax: Softmax,
}

impl Answer {
    /// No class seen yet.
    pub const fn new() -> Self {
        Self {
            class: 0,
            softmax: Softmax::new(),
        }
    }

    /// The answer of all logits `[classes]`.
    /// Without logits the class is 0 and its probability 0.
    pub fn of(logits: &[i32]) -> Self {
        let mut answer = Self::new();
        answer.add(0, logits);
        answer
    }

    /// Takes in a block of logits, the first of them that of class `first`.
    #[inline]
    fn add(&mut self, first: u32, logits: &[i32]) {
        if let Some(at) = self.softmax.see(logits) {
            self.class = first + at as u32;
        }
    }

    /// The share of the class in the softmax of all logits, 0 to 1; 0 where none
    /// was seen.
    // Inlined: the library itself has no floating point.
    #[inline]
    pub fn probability(&self) -> f32 {
        self.share() as f32 * (1.0 / 65_536.0)
    }

    /// The same in units of 2^-16.
    pub fn share(&self) -> u32 {
        self.softmax.likeliest()
    }

    /// Whether the share is less than [`Header::unknown_below`](crate::Header::unknown_below),
    /// in units of 2^-16: the text then has none of the model's labels.
    /// Never where that is 0.
    pub fn is_unknown(&self, below: u16) -> bool {
        self.share() < below.into()
    }

    /// The same in whole percent.
    /// Rounded to the nearest, 0 to 100.
    pub fn percent(&self) -> u32 {
        (100 * self.share() + (1 << 15)) >> 16
    }
}

impl Sample for Answer {
    fn wants_all(&self) -> bool {
        false
    }

    fn see(&mut self, first: u32, logits: &mut [i32]) {
        self.add(first, logits);
    }

    fn choose(&mut self) -> u32 {
        self.class
    }
}

/// The name of a class and how likely it is: `97 %: light-on`; `unknown (62 %: light-on)`
/// where that is too little.
#[cfg(feature = "metadata")]
#[derive(Clone, Copy, Debug)]
pub struct Label<'i> {
    /// The name in the image's metadata; none where it has none.
    pub name: Option<&'i str>,
    /// The probability in whole percent.
    pub percent: u32,
    /// Whether the text has none of the labels: see [`Answer::is_unknown`].
    pub is_unknown: bool,
}

#[cfg(feature = "metadata")]
impl Answer {
    /// The answer in words.
    /// Reads the metadata block on each call: it is not kept.
    pub fn label<'i>(&self, image: &crate::Image<'i>) -> Label<'i> {
        let metadata = image.metadata();
        Label {
            name: metadata.and_then(|metadata| metadata.label(self.class)),
            percent: self.percent(),
            is_unknown: self.is_unknown(image.header().unknown_below),
        }
    }
}

#[cfg(feature = "metadata")]
impl core::fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (percent, name) = (self.percent, self.name.unwrap_or("?"));
        match self.is_unknown {
            true => write!(f, "unknown ({percent} %: {name})"),
            false => write!(f, "{percent} %: {name}"),
        }
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Sample};

    #[test]
    fn the_likeliest_class_answers() {
        let mut logits = [0, 2 << 16, 2 << 16, -1 << 16];
        let answer = Answer::of(&logits);
        assert_eq!(answer.class, 1);
        let expected = 2.0f64.exp() / (1.0 + 2.0 * 2.0f64.exp() + (-1.0f64).exp());
        assert!((f64::from(answer.probability()) - expected).abs() < 1e-4);
        assert_eq!(answer.percent(), 46);
        let mut blocks = Answer::new();
        blocks.see(0, &mut logits[..3]);
        blocks.see(3, &mut logits[3..]);
        assert_eq!(blocks, answer);
        assert_eq!(Answer::of(&[-3]).probability(), 1.0);
        assert_eq!(Answer::of(&[]).probability(), 0.0);
    }

    #[test]
    fn unlikely_classes_are_unknown() {
        // Two of the same share, and of no share where nothing was seen.
        for (logits, share) in [(&[7, 7][..], 1 << 15), (&[], 0)] {
            let answer = Answer::of(logits);
            assert!(!answer.is_unknown(0));
            assert!(!answer.is_unknown(share));
            assert!(answer.is_unknown(share + 1));
        }
        // Nothing is unknown to one class.
        assert!(!Answer::of(&[i32::MIN]).is_unknown(u16::MAX));
    }

    #[cfg(feature = "metadata")]
    #[test]
    fn labels_are_shown() {
        use std::string::ToString;
        let mut label = super::Label {
            name: Some("on"),
            percent: 62,
            is_unknown: false,
        };
        assert_eq!(label.to_string(), "62 %: on");
        label.is_unknown = true;
        assert_eq!(label.to_string(), "unknown (62 %: on)");
        label.name = None;
        assert_eq!(label.to_string(), "unknown (62 %: ?)");
    }

    #[test]
    fn a_probability_is_between_0_and_1() {
        let (low, high) = (i32::MIN, i32::MAX);
        for (logits, class, percent) in [
            (&[low; 9][..], 0, 11),
            (&[low, 2, low], 1, 100),
            (&[high, 0], 0, 100),
            (&[high, high], 0, 50),
        ] {
            let answer = Answer::of(logits);
            let found = (answer.class, answer.percent());
            assert_eq!(found, (class, percent), "{logits:?}");
            assert!((0.0..=1.0).contains(&answer.probability()), "{logits:?}");
        }
    }
}
