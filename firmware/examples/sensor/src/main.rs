//! Watches a sensor: a model predicts every sample, and where it is wrong for
//! a whole window something is not normal.
//!
//! Prints a line for each window: its number, the mean of its bits per sample
//! in units of 2^-16 and as a decimal number, and `alarm` above the threshold.
//! Then what it took.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use kinglet::{bits, Header, Image, Session, Shape};
use kinglet_machine::{entry, exit, put, say, since, stack_bytes, ticks};

static IMAGE: &[u8] = kinglet::include_image!(concat!(env!("OUT_DIR"), "/model.kgl"));

const SHAPE: Shape = Header::expect(IMAGE).shape;

/// What a driver of a sensor would deliver, a byte a sample.
static SAMPLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/samples.bin"));

/// Bits per sample that a normal window stays below, in units of 2^-16.
const THRESHOLD: u32 = include!(concat!(env!("OUT_DIR"), "/threshold.rs"));

/// Samples of a window.
const WINDOW: usize = 64;

// All the RAM that the library takes.
static mut STATE: [i32; SHAPE.state_len()] = [0; SHAPE.state_len()];
static mut SCRATCH: [i32; SHAPE.scratch_len()] = [0; SHAPE.scratch_len()];

#[entry]
#[allow(unsafe_code)]
fn enter() -> ! {
    kinglet_machine::start();
    let (state, scratch) = (&raw mut STATE, &raw mut SCRATCH);
    // SAFETY: the start-up code alone can call this function, once, and
    // nothing else names the two statics.
    let (state, scratch) = unsafe { (&mut *state, &mut *scratch) };
    match watch(state, scratch) {
        Ok(()) => exit(0),
        Err(what) => {
            say!("{what}");
            exit(1)
        }
    }
}

fn watch(state: &mut [i32], scratch: &mut [i32]) -> Result<(), &'static str> {
    let image = Image::new(IMAGE).map_err(|_| "the image cannot be used")?;
    let mut session =
        Session::new(&image, state, scratch).map_err(|_| "the buffers are too short")?;
    let mut samples = SAMPLES.iter().copied().map(u32::from);
    let Some(mut last) = samples.next() else {
        return Err("there are no samples");
    };
    let (mut window, mut sum, mut count) = (0, 0u64, 0);
    let mut instructions = 0;
    for sample in samples {
        let start = ticks();
        let logits = session.step(last).map_err(|_| "a sample is no token")?;
        sum += u64::from(bits(logits, sample));
        instructions += since(start);
        last = sample;
        count += 1;
        if count == WINDOW {
            report(window, (sum / WINDOW as u64) as u32);
            (window, sum, count) = (window + 1, 0, 0);
        }
    }
    let scored = (SAMPLES.len() - 1) as u64;
    say!("instructions {}", instructions / scored.max(1));
    say!("stack_bytes {}", stack_bytes());
    Ok(())
}

fn report(window: usize, mean: u32) {
    let thousandths = (1000 * u64::from(mean) + (1 << 15)) >> 16;
    put!("window {window} {mean} ");
    put!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    say!("{}", if mean > THRESHOLD { " alarm" } else { "" });
}
