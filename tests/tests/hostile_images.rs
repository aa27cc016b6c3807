//! Images with any bits in their weights, and buffers of any bits: what passes the
//! checks runs to its end. In this build an overflow would be a panic.

use kinglet::image::{ImageError, Metadata, HEADER_BYTES};
use kinglet::shape::{
    Bits, Kind, Layout, Shape, BLOCK_ROWS, EXPS, FINE, FIXED_LIMIT, FRONT_BYTES, MOST_PLACES,
    MOST_SHIFT,
};
use kinglet::{Image, Pcg32, Session};
use kinglet_host::model::{Dimensions, Model, Version};
use kinglet_host::pack::{image_parts, pack, Formats, Options, StoredPart};
use kinglet_host::synth::write_random;
use kinglet_tests::folder;
use kinglet_tests::models::{kinds, VOCAB};
use std::ops::Range;

/// The parts of an image, each with its first byte.
fn parts(image: &Image<'_>) -> Vec<(usize, StoredPart)> {
    let mut at = HEADER_BYTES;
    let placed = image_parts(image).into_iter().map(|stored| {
        let start = at;
        at += stored.part.kind.bytes(image.shape(), stored.bits) as usize;
        (start, stored)
    });
    placed.collect()
}

/// Where the numbers of a part are that have a range: of a matrix in front.
struct Ranged {
    exp: Option<usize>,
    shift: Option<usize>,
    fixed: Range<usize>,
    /// Where format, shift and power of two stand.
    front: Option<Range<usize>>,
    /// The places of blocks.
    places: Range<usize>,
}

fn ranged(shape: &Shape, (start, stored): (usize, StoredPart)) -> Ranged {
    let none = Ranged {
        exp: None,
        shift: None,
        fixed: 0..0,
        front: None,
        places: 0..0,
    };
    match stored.part.kind {
        Kind::Factors(dim) | Kind::Mix(dim) => Ranged {
            exp: Some(start + 2 * shape.dim(dim)),
            ..none
        },
        Kind::Fixed(dim) => Ranged {
            fixed: start..start + 4 * shape.dim(dim),
            ..none
        },
        Kind::Matrix(rows, _) | Kind::LowRank(rows, _) | Kind::Table(rows, _) => Ranged {
            exp: Some(start + 2),
            shift: stored.product().map(|_| start + 1),
            front: Some(start..start + FRONT_BYTES),
            places: match stored.bits {
                Bits::Int8 => 0..0,
                bits => {
                    let end = start + stored.part.kind.bytes(shape, bits) as usize;
                    let blocks = shape.dim(rows).div_ceil(BLOCK_ROWS);
                    let first = end - blocks.next_multiple_of(4);
                    first..first + blocks
                }
            },
            ..none
        },
    }
}

/// An image file's bytes, aligned.
struct Bytes(Vec<u128>, usize);

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        let mut words = vec![0; bytes.len().div_ceil(16)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self(words, bytes.len())
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.0)[..self.1]
    }
}

/// Numbers that overflow first.
const EXTREMES: [u32; 6] = [
    0,
    0x7fff_7fff,
    0x8000_8000,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];

/// An extreme number, or any.
fn any_word(random: &mut Pcg32) -> u32 {
    let at = random.next_u32() as usize % (2 * EXTREMES.len());
    EXTREMES
        .get(at)
        .copied()
        .unwrap_or_else(|| random.next_u32())
}

/// A number of a range, its ends as often as what is between.
fn within(random: &mut Pcg32, least: i32, most: i32) -> i16 {
    let between = least + (random.next_u32() % (most - least + 1) as u32) as i32;
    [least, most, between, between][random.next_u32() as usize % 4] as i16
}

/// Any weights, one of `share` words changed, and in some images any powers of two.
fn change(bytes: &mut [u8], image: &Image<'_>, share: u32, random: &mut Pcg32) {
    let good = bytes.to_vec();
    let end = image.header().weights_end() as usize;
    for word in bytes[HEADER_BYTES..end].chunks_exact_mut(4) {
        if random.next_u32().is_multiple_of(share) {
            word.copy_from_slice(&any_word(random).to_le_bytes());
        }
    }
    let any_exps = random.next_u32().is_multiple_of(2);
    for part in parts(image) {
        let Ranged {
            exp,
            shift,
            fixed,
            front,
            places,
        } = ranged(image.shape(), part);
        if let Some(front) = front {
            bytes[front.clone()].copy_from_slice(&good[front]);
        }
        if let Some(at) = exp {
            let stored = within(random, *EXPS.start(), *EXPS.end()).to_le_bytes();
            let kept = [good[at], good[at + 1]];
            bytes[at..at + 2].copy_from_slice(if any_exps { &stored } else { &kept });
        }
        if let Some(at) = shift.filter(|_| any_exps) {
            bytes[at] = within(random, 0, MOST_SHIFT as i32) as u8;
        }
        for places in &mut bytes[places] {
            *places &= MOST_PLACES;
        }
        for number in bytes[fixed].chunks_exact_mut(4) {
            let word = i32::from_le_bytes(number.try_into().expect("four bytes"));
            let most = FIXED_LIMIT as i32 - 1;
            number.copy_from_slice(&word.clamp(-most, most).to_le_bytes());
        }
    }
}

/// Reads some tokens from an empty text on, or from any state.
fn run(image: &Image<'_>, from_any_state: bool, random: &mut Pcg32) {
    let mut state = vec![0; image.shape().state_len()];
    let mut scratch: Vec<i32> = vec![0; image.shape().scratch_len()];
    scratch.fill_with(|| any_word(random) as i32);
    Session::new(image, &mut state, &mut scratch).expect("the buffers fit");
    if from_any_state {
        state.fill_with(|| any_word(random) as i32);
    }
    let mut session = Session::resume(image, &mut state, &mut scratch).expect("the buffers fit");
    for _ in 0..20 {
        let token = random.next_u32() % VOCAB as u32;
        session.step(token).expect("a token of the vocabulary");
    }
    // Between two slices of a step, too, the buffers are the caller's.
    let mut step = session.begin(0).expect("a token of the vocabulary");
    while session.advance(&mut step, 1000) {
        if from_any_state {
            let scramble = |word: &mut i32| {
                if random.next_u32().is_multiple_of(3) {
                    *word = any_word(random) as i32;
                }
            };
            scratch.iter_mut().for_each(scramble);
            session = Session::resume(image, &mut state, &mut scratch).expect("the buffers fit");
        }
    }
}

#[test]
fn any_weights_and_buffers_run() {
    let mut random = Pcg32::new(1);
    for kind in kinds() {
        let file = kind.image(Layout::Rows4);
        for round in 0..200 {
            let mut bytes = Bytes::of(file.image().bytes());
            let share = [1, 3, 100, 10_000][round % 4];
            change(bytes.bytes(), &file.image(), share, &mut random);
            let image = Image::new(bytes.bytes()).expect("its numbers are in their ranges");
            run(&image, round % 3 == 0, &mut random);
        }
    }
}

#[test]
fn numbers_out_of_their_range_are_refused_with_their_part() {
    for kind in kinds() {
        let file = kind.image(Layout::Rows4);
        let good = file.image();
        let mut bytes = Bytes::of(good.bytes());
        for part in parts(&good) {
            let Ranged {
                exp,
                shift,
                fixed,
                front,
                places,
            } = ranged(good.shape(), part);
            let exps = [EXPS.end() + 1, EXPS.start() - 1, 32_767, -32_768];
            let shifts = [MOST_SHIFT as i32 + 1, 255, 32];
            let limit = FIXED_LIMIT as i32;
            let numbers = [limit, -limit - 1, i32::MIN];
            let changes = exp.into_iter().flat_map(|at| exps.map(|x| (at, x, 2)));
            let changes =
                changes.chain(shift.into_iter().flat_map(|at| shifts.map(|x| (at, x, 1))));
            let ends = [fixed.start, fixed.end.max(4) - 4];
            let ends = ends.into_iter().filter(|_| !fixed.is_empty());
            let changes = changes.chain(ends.flat_map(|at| numbers.map(|x| (at, x, 4))));
            let ends = [places.start, places.end.max(1) - 1];
            let ends = ends.into_iter().filter(|_| !places.is_empty());
            let most = i32::from(MOST_PLACES);
            let changes = changes.chain(ends.flat_map(|at| [(at, most + 1, 1), (at, 255, 1)]));
            // Formats that are unknown, that the header does not name, or of a vector that
            // a table has not; and the shift of a table.
            let fronts = front.into_iter().flat_map(|front| {
                let is_table = part.1.product().is_none();
                let zero = is_table.then_some((front.start + 1, 1, 1));
                let is_fine = !is_table && good.shape().formats.is_fine();
                let fine = part.1.bits as i32 | i32::from(FINE);
                let fine = (!is_fine).then_some(fine);
                let other = Bits::ALL
                    .into_iter()
                    .find(|&bits| !good.shape().formats.has(bits));
                let other = other.filter(|_| part.1.product().is_some());
                let bits = other.map(|bits| bits as i32).into_iter().chain(fine);
                let bits = [3, 8, 255].into_iter().chain(bits);
                bits.map(move |bits| (front.start, bits, 1)).chain(zero)
            });
            let changes = changes.chain(fronts);
            for (at, number, width) in changes {
                let good = bytes.bytes()[at..at + width].to_vec();
                bytes.bytes()[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
                let error = Image::new(bytes.bytes())
                    .map(|_| ())
                    .expect_err("out of range");
                assert_eq!(
                    error,
                    ImageError::Range(part.0 as u32),
                    "{kind:?} {:?}",
                    part.1
                );
                bytes.bytes()[at..at + width].copy_from_slice(&good);
            }
        }
    }
}

/// With larger scales the sum of a row could leave 32 bits.
#[test]
fn group_scales_of_six_bits_have_a_limit() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    // 35 groups in a row.
    let dimensions = Dimensions {
        layers: 1,
        embd: 8,
        ffn: 1100,
        vocab: VOCAB,
        classes: 0,
        heads: 0,
        ranks: [0; 4],
    };
    write_random(&path, Version::V4, &dimensions, 5).expect("the folder can be written");
    let model = Model::open(&path).expect("a checkpoint that is complete");
    for layout in Layout::ALL {
        let options = Options {
            layout,
            ..Options::of(Formats::of(Bits::Int6))
        };
        let metadata = Metadata::default();
        let packed = pack(&model, &options, &metadata, |_, _| {}).expect("it fits");
        let mut bytes = Bytes::of(&packed.bytes);
        let image = Image::new(bytes.bytes()).expect("a good image");
        let parts = parts(&image);
        let is_value = |stored: &StoredPart| stored.part.name == "ffn.value.weight";
        let value = parts.iter().find(|(_, stored)| is_value(stored));
        let at = value.expect("every layer has one").0;
        // The scales of the last row of a block.
        let scales = |group: usize| at + FRONT_BYTES + group * Bits::Int6.group_bytes() + 99;
        let set = |bytes: &mut [u8], all: [u8; 35]| {
            (0..35).for_each(|group| bytes[scales(group)] = all[group]);
        };
        let mut all = [8256u32.div_ceil(35) as u8; 35];
        all[0] = (8256 - 34 * u32::from(all[1])) as u8;
        set(bytes.bytes(), all);
        assert!(Image::new(bytes.bytes()).is_ok());
        all[0] += 1;
        set(bytes.bytes(), all);
        let error = Image::new(bytes.bytes()).map(|_| ());
        assert_eq!(error, Err(ImageError::Range(at as u32)));
    }
}
