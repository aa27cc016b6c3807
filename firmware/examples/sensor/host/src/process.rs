//! The process that the sensor measures: the vibration of a motor.
//!
//! Three harmonics of the rotation, whose speed wanders around 24 samples a
//! revolution; a load that changes now and then and scales them; noise of
//! about one level. Nothing here calls the system's sine, so that a seed
//! gives the same samples everywhere.

use kinglet::Pcg32;

/// The byte of the lowest level. With printable bytes a stream can be looked
/// at, and none is 0, which begins a text in other models.
pub const FIRST: u8 = b' ';

/// Levels of the quantizer: 6 bits.
pub const LEVELS: u8 = 64;

/// Levels per unit of the vibration: full scale is -2 to 2.
const SCALE: f64 = 16.0;

/// Revolutions per sample, on average.
const SPEED: f64 = 1.0 / 24.0;

/// How fast speed and load return to their targets, per sample.
const SPEED_RETURN: f64 = 0.002;
const LOAD_RETURN: f64 = 0.01;

/// Standard deviations of the speed's steps and of the noise.
const SPEED_STEP: f64 = 0.000_15;
const NOISE: f64 = 0.06;

/// Samples between changes of the load, on average.
const LOAD_SAMPLES: u32 = 1_500;

/// Amplitude and phase in radians of the harmonics.
const HARMONICS: [(f64, f64); 3] = [(1.0, 0.0), (0.5, 1.0), (0.25, 2.0)];

/// Samples of a fault, and the fewest and most between two.
const FAULT_SAMPLES: usize = 384;
const GAP_SAMPLES: (u32, u32) = (512, 1_024);

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A bearing knocks once in a revolution and rings for a few samples.
    Knock,
    /// The first harmonic is a third stronger.
    Imbalance,
    /// The sensor repeats its last sample.
    Stuck,
    /// The sensor's zero rises, by half a unit in the end.
    Drift,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Knock, Self::Imbalance, Self::Stuck, Self::Drift];

    /// Its letter in a file of labels.
    pub fn letter(self) -> u8 {
        match self {
            Self::Knock => b'k',
            Self::Imbalance => b'i',
            Self::Stuck => b's',
            Self::Drift => b'd',
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Knock => "knock",
            Self::Imbalance => "imbalance",
            Self::Stuck => "stuck",
            Self::Drift => "drift",
        }
    }
}

/// The label of a normal sample.
pub const NORMAL: u8 = b'.';

/// Samples and what each of them is: [`NORMAL`] or a fault's letter.
pub struct Stream {
    pub samples: Vec<u8>,
    pub labels: Vec<u8>,
}

/// A stream of normal samples.
pub fn normal(count: usize, seed: u64) -> Vec<u8> {
    let mut motor = Motor::new(seed);
    (0..count).map(|_| motor.sample(None)).collect()
}

/// A stream in which the faults take turns.
pub fn anomalous(count: usize, seed: u64) -> Stream {
    let mut motor = Motor::new(seed);
    let mut stream = Stream {
        samples: Vec::new(),
        labels: Vec::new(),
    };
    for fault in Fault::ALL.into_iter().cycle() {
        let (least, most) = GAP_SAMPLES;
        for _ in 0..least + motor.below(most - least) {
            stream.push(motor.sample(None), NORMAL);
        }
        for at in 0..FAULT_SAMPLES {
            stream.push(motor.sample(Some((fault, at))), fault.letter());
        }
        if stream.samples.len() >= count {
            break;
        }
    }
    stream.samples.truncate(count);
    stream.labels.truncate(count);
    stream
}

impl Stream {
    fn push(&mut self, sample: u8, label: u8) {
        self.samples.push(sample);
        self.labels.push(label);
    }
}

struct Motor {
    random: Pcg32,
    /// In revolutions, 0 to 1.
    phase: f64,
    speed: f64,
    load: f64,
    load_wanted: f64,
    /// Samples since the bearing last knocked.
    since_knock: i32,
    last: u8,
}

impl Motor {
    fn new(seed: u64) -> Self {
        Self {
            random: Pcg32::new(seed),
            phase: 0.0,
            speed: SPEED,
            load: 1.0,
            load_wanted: 1.0,
            since_knock: 0,
            last: FIRST,
        }
    }

    /// The next sample; `fault` comes with its age in samples.
    fn sample(&mut self, fault: Option<(Fault, usize)>) -> u8 {
        self.turn();
        let mut value = NOISE * self.noise();
        for (number, (amplitude, phase)) in (1..).zip(HARMONICS) {
            let amplitude = match fault {
                Some((Fault::Imbalance, _)) if number == 1 => amplitude * 4.0 / 3.0,
                _ => amplitude,
            };
            value += self.load * amplitude * sine(f64::from(number) * self.phase + phase / TURN);
        }
        match fault {
            Some((Fault::Knock, _)) => value += self.ring(),
            Some((Fault::Drift, at)) => value += 0.5 * at as f64 / FAULT_SAMPLES as f64,
            Some((Fault::Stuck, _)) => return self.last,
            _ => {}
        }
        self.last = quantize(value);
        self.last
    }

    fn turn(&mut self) {
        self.speed += SPEED_RETURN * (SPEED - self.speed) + SPEED_STEP * self.noise();
        if self.below(LOAD_SAMPLES) == 0 {
            self.load_wanted = 0.7 + 0.5 * self.uniform();
        }
        self.load += LOAD_RETURN * (self.load_wanted - self.load);
        self.phase += self.speed;
        self.since_knock += 1;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            self.since_knock = 0;
        }
    }

    /// The bearing's ringing: it loses a third a sample and turns its sign.
    fn ring(&self) -> f64 {
        let size = (0..self.since_knock.min(64)).fold(0.6, |size, _| size * -0.67);
        -size
    }

    /// 0 to 1.
    fn uniform(&mut self) -> f64 {
        f64::from(self.random.next_u32()) / 4_294_967_296.0
    }

    /// Nearly normal, of mean 0 and deviation 1: the sum of 12 uniform ones.
    fn noise(&mut self) -> f64 {
        (0..12).fold(-6.0, |sum, _| sum + self.uniform())
    }

    fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.random.next_u32()) * u64::from(end)) >> 32) as u32
    }
}

fn quantize(value: f64) -> u8 {
    let level = (value * SCALE + f64::from(LEVELS / 2)).clamp(0.0, f64::from(LEVELS - 1));
    FIRST + level as u8
}

/// Radians of a revolution.
const TURN: f64 = std::f64::consts::TAU;

/// The sine of an angle in revolutions: a Taylor polynomial, off by less than
/// 1e-5.
fn sine(turns: f64) -> f64 {
    let turns = turns - (turns + 0.5).floor();
    // To the quarter around 0, where the sine is odd.
    let turns = if turns > 0.25 {
        0.5 - turns
    } else if turns < -0.25 {
        -0.5 - turns
    } else {
        turns
    };
    let x = turns * TURN;
    let y = x * x;
    x * (1.0 - y / 6.0 * (1.0 - y / 20.0 * (1.0 - y / 42.0 * (1.0 - y / 72.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sine_is_a_sine() {
        for i in -300..300 {
            let turns = f64::from(i) * 0.01;
            assert!((sine(turns) - (turns * TURN).sin()).abs() < 1e-5, "{turns}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_samples_in_range() {
        let samples = normal(10_000, 1);
        assert_eq!(samples, normal(10_000, 1));
        assert_ne!(samples, normal(10_000, 2));
        assert!(samples.iter().all(|s| (FIRST..FIRST + LEVELS).contains(s)));
        let clipped = |s: &&u8| **s == FIRST || **s == FIRST + LEVELS - 1;
        assert!(samples.iter().filter(clipped).count() < 100);
        // The same samples on every system.
        let start = "MLLKJHJJHFCBA@=60($%-7?GMMLKJJJLHGEC";
        assert_eq!(String::from_utf8_lossy(&normal(36, 3)), start);
    }

    #[test]
    fn every_fault_is_labelled() {
        let stream = anomalous(20_000, 1);
        assert_eq!(stream.samples.len(), stream.labels.len());
        for fault in Fault::ALL {
            let count = stream.labels.iter().filter(|l| **l == fault.letter());
            assert!(count.count() >= FAULT_SAMPLES, "{}", fault.name());
        }
        let stuck = stream.labels.iter().position(|l| *l == b's').unwrap();
        let held = &stream.samples[stuck - 1..stuck + FAULT_SAMPLES];
        assert!(held.iter().all(|sample| *sample == held[0]));
    }
}
