//! The smallest firmware that generates text: a prompt goes to the model,
//! tokens come out. It is never run: `cargo xtask sizes` compares it with the
//! same program without the library.
//!
//! The compiler does not know the addresses of image, buffers, prompt and
//! output, so that it cannot leave out any of the library's work.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use core::ptr::{read_volatile, write_volatile};
#[cfg(target_arch = "arm")]
use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
use riscv_rt::entry;

/// Where memory of a real program would be: `[address, length]` pairs.
#[no_mangle]
static PLACES: [usize; 8] = [0; 8];

/// Where a token goes.
#[no_mangle]
static mut OUTPUT: u32 = 0;

fn place(index: usize) -> (usize, usize) {
    let place = &raw const PLACES[(2 * index) & 6];
    // SAFETY: two words of the static, from an even index on.
    unsafe { (read_volatile(place), read_volatile(place.add(1))) }
}

fn bytes(index: usize) -> &'static [u8] {
    let (start, len) = place(index);
    // SAFETY: who fills in `PLACES` names memory that is there.
    unsafe { core::slice::from_raw_parts(start as *const u8, len) }
}

#[cfg(feature = "kinglet")]
fn words(index: usize) -> &'static mut [i32] {
    let (start, len) = place(index);
    // SAFETY: who fills in `PLACES` names memory that is there, and each
    // place is asked for once.
    unsafe { core::slice::from_raw_parts_mut(start as *mut i32, len) }
}

fn put(byte: u8) {
    // SAFETY: nothing else names the static.
    unsafe { write_volatile(&raw mut OUTPUT, u32::from(byte)) }
}

/// The calls of the library: a function for each room, so that code which the
/// compiler merges into the caller still belongs to one room.
#[cfg(feature = "kinglet")]
mod rooms {
    use super::{bytes, place, put, words};
    use kinglet::{Image, Sampler, Sampling, Session, Tokenizer, START_TOKEN};

    #[inline(never)]
    fn image() -> Option<Image<'static>> {
        let image = Image::new(bytes(0)).ok()?;
        image.verify_checksum().ok()?;
        Some(image)
    }

    #[inline(never)]
    fn session(image: &Image<'static>) -> Option<Session<'static, 'static>> {
        Session::new(image, words(1), words(2)).ok()
    }

    #[inline(never)]
    fn prompt(session: &mut Session<'static, 'static>, tokenizer: Tokenizer<'_>) -> Option<u32> {
        let mut token = START_TOKEN;
        for next in tokenizer.encode(bytes(3)) {
            session.feed(&[token]).ok()?;
            token = next.ok()?;
        }
        Some(token)
    }

    #[inline(never)]
    fn sampler() -> Sampler {
        let sampling = Sampling {
            temperature: f32::from_bits(place(0).0 as u32),
            top_k: place(1).0 as u32,
            top_p: f32::from_bits(place(2).0 as u32),
            repetition_penalty: f32::from_bits(place(3).0 as u32),
        };
        Sampler::new(sampling, 1)
    }

    #[inline(never)]
    fn choose(sampler: &mut Sampler, logits: &mut [i32]) -> u32 {
        sampler.sample(logits)
    }

    /// A prompt, then tokens for ever.
    pub fn generate() -> Option<()> {
        let image = image()?;
        let mut session = session(&image)?;
        let tokenizer = image.tokenizer()?;
        let mut token = prompt(&mut session, tokenizer)?;
        let mut sampler = sampler();
        loop {
            token = choose(&mut sampler, session.step(token).ok()?);
            tokenizer.decode(token).iter().copied().for_each(put);
        }
    }
}

#[cfg(feature = "kinglet")]
use rooms::generate;

#[cfg(not(feature = "kinglet"))]
fn generate() -> Option<()> {
    loop {
        bytes(3).iter().copied().for_each(put);
    }
}

#[entry]
fn enter() -> ! {
    let _ = generate();
    stop()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop()
}

fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
