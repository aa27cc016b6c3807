//! x86-64: AVX2, and AVX-512 with VNNI where the processor has it.
//!
//! The layout `rows4` suits both: a 32-bit lane of a vector is a word of one
//! row, so that lanes never mix rows. Sums are exact, as everywhere.
//!
//! - VNNI multiplies unsigned by signed bytes. Weights become unsigned by an
//!   exclusive-or, `u = w + 128` or `w + 8`; the sum of `x` takes that away.
//! - AVX2 would saturate there for int8, so it multiplies 16-bit halves: weights are
//!   shifted to their own sign, even bytes and odd ones apart. For int4 it multiplies
//!   bytes: the sum of two products, `2 * 15 * 127`, is far below `2^15`.
//!
//! int6 has the algebra of `dsp`, by products of 16 bits at both levels. Otherwise
//! prepared vectors hold, per step of four (int8) or eight (int4) columns,
//! two words: the factors of the even and of the odd bytes or nibbles.

use super::shared::words::{self, quantized, GROUP_WORDS, STEP_WORDS, STORED_WORDS};
use super::{Mantissa, Port, Portable, Quantizer, Scaling, Write};
use crate::shape::{Bits, Layout, Matrix, BLOCK_ROWS, GROUP_COLS};
use core::arch::x86_64::*;
use std::is_x86_feature_detected;

/// Steps of [`Portable`], which has them inlined, in the compiler's own vectors of AVX2.
macro_rules! in_vectors {
    ($(fn $step:ident $(<$m:ident: $bound:ident>)? ($($arg:ident: $type:ty),*) $(-> $out:ty)?;)*) => { $(
        fn $step $(<$m: $bound>)? ($($arg: $type),*) $(-> $out)? {
            #[target_feature(enable = "avx2,bmi2")]
            fn in_vectors $(<$m: $bound>)? ($($arg: $type),*) $(-> $out)? {
                Portable::$step($($arg),*)
            }
            match Level::avx2() {
                // SAFETY: the processor has these vectors, as there is a `Level` of them.
                Some(_) => unsafe { in_vectors($($arg),*) },
                None => Portable::$step($($arg),*),
            }
        }
    )* };
}

/// x86-64.
#[derive(Debug)]
pub struct X86;

impl Port for X86 {
    type Base = Portable;

    const LAYOUT: Layout = Layout::Rows4;

    fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        match Level::best() {
            Some(level) => level.prepare(x, quantizer, bits, words),
            None => Portable::prepare(x, quantizer, bits, words),
        }
    }

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        match Level::best() {
            Some(level) => level.sums(matrix, words, sums),
            None => Portable::sums(matrix, words, sums),
        }
    }

    in_vectors! {
        fn scale_rows(scales: &[i16], max16: i32, shift: u32, out: &mut [i32]);
        fn scale_blocks(places: &[u8], factor: i32, shift: u32, out: &mut [i32]);
        fn sum(x: &[i32]) -> i64;
        fn less(x: &[i32], mean: i32, out: &mut [i32]) -> u32;
        fn squares(x: &[i32], left: u32) -> u64;
        fn affine(scaling: Scaling, weight: &[i16], bias: &[i16], x: &mut [i32]);
        fn token_shift(
            x: &[i32], previous: &[i32], mix: &[i16], right: u32, out: &mut [i32]
        ) -> u32;
        fn positive_max(x: &[i32]) -> i32;
        fn read<M: Mantissa>(mantissas: &[M], c: &[i16], sums: &mut [i32]);
        fn write<M: Mantissa>(mantissas: &mut [M], writes: &[Write], values: &[[i16; 2]]);
        fn round_off(x: &mut [i32], right: u32);
        fn add(x: &mut [i32], y: &[i32], places: i32, right: u32) -> u32;
        fn shares(gate: &[i32], places: i32, out: &mut [i32]);
        fn add_gated(x: &mut [i32], inputs: [&[i32]; 2], places: [i32; 2], right: u32) -> u32;
        fn average(
            state: [&mut [i32]; 2],
            fixed: [&[i32]; 2],
            inputs: [&[i32]; 2],
            places: [i32; 2],
            out: &mut [i32]
        ) -> u32;
        fn relu_squared(x: &mut [i32], left: u32);
    }
}

/// Vectors that the processor has: only the functions here make one, after
/// they have asked it.
#[derive(Clone, Copy, Debug)]
pub struct Level(Vectors);

#[derive(Clone, Copy, Debug)]
enum Vectors {
    /// 256-bit integer vectors.
    Avx2,
    /// 512-bit vectors and byte dot products.
    Vnni,
}

impl Level {
    /// AVX-512 with VNNI.
    pub fn vnni() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        found.then_some(Self(Vectors::Vnni))
    }

    /// AVX2, and BMI2's shifts: every processor with the former has them.
    pub fn avx2() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
        found.then_some(Self(Vectors::Avx2))
    }

    /// The fastest.
    fn best() -> Option<Self> {
        Self::vnni().or_else(Self::avx2)
    }

    /// Quantizes `x` and arranges it for [`Level::sums`].
    pub fn prepare(self, x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        // SAFETY: the processor has these vectors, as there is a `Level` of them.
        unsafe { self.prepare_avx2(x, quantizer, bits, words) }
    }

    /// [`Level::prepare`] in the compiler's own vectors, which every level has.
    #[target_feature(enable = "avx2")]
    fn prepare_avx2(self, x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        match (self.0, bits) {
            (Vectors::Avx2, Bits::Int8) => {
                for (x, step) in x.chunks(4).zip(words.chunks_exact_mut(STEP_WORDS)) {
                    let q: [i8; 4] = quantized(x, quantizer);
                    step.copy_from_slice(&[halves(q[0], q[2]), halves(q[1], q[3])]);
                }
            }
            #[cfg(feature = "int6")]
            (_, Bits::Int6) => {
                for (x, words) in x.chunks(GROUP_COLS).zip(words.as_chunks_mut().0) {
                    six_bits(quantized(x, quantizer), words);
                }
            }
            (Vectors::Vnni, Bits::Int8) => in_groups(x, quantizer, bits, words, |q| pairs(q)),
            (_, Bits::Int4) => in_groups(x, quantizer, bits, words, |q| nibbles(q)),
        }
    }

    /// The exact sums `[rows]` of `matrix` with a vector prepared at this
    /// level.
    pub fn sums(self, matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        let blocks = sums.chunks_exact_mut(BLOCK_ROWS);
        match matrix.bits {
            Bits::Int8 => {
                let steps = matrix.cols.div_ceil(4);
                let words = words.get(..steps * STEP_WORDS).unwrap_or(&[]);
                let weights = matrix.weights.chunks_exact((steps * BLOCK_ROWS).max(1));
                // The second word of a step is the sum of its columns (VNNI).
                let columns = words.chunks_exact(STEP_WORDS).map(|step| step[1] as i32);
                let columns = columns.fold(0, i32::wrapping_add);
                for (sums, weights) in blocks.zip(weights) {
                    // SAFETY: the processor has these vectors, as there is a
                    // `Level` of them.
                    let block = unsafe {
                        match self.0 {
                            Vectors::Vnni => int8_vnni(weights, words, columns),
                            Vectors::Avx2 => int8_avx2(weights, words),
                        }
                    };
                    sums.copy_from_slice(&block);
                }
            }
            #[cfg(feature = "int6")]
            Bits::Int6 => {
                let groups = matrix.cols.div_ceil(GROUP_COLS);
                let words = words.get(..groups * SIX_WORDS).unwrap_or(&[]);
                let weights = matrix.weights.chunks_exact((groups * 25).max(1));
                for (sums, weights) in blocks.zip(weights) {
                    // SAFETY: as above.
                    sums.copy_from_slice(&unsafe { int6_avx2(weights, words) });
                }
            }
            Bits::Int4 => {
                let groups = matrix.cols.div_ceil(GROUP_COLS);
                let words = words.get(..groups * GROUP_WORDS).unwrap_or(&[]);
                let weights = matrix.weights.chunks_exact((groups * STORED_WORDS).max(1));
                for (sums, weights) in blocks.zip(weights) {
                    // SAFETY: as above.
                    let block = unsafe {
                        match self.0 {
                            Vectors::Vnni => int4_vnni(weights, words),
                            Vectors::Avx2 => int4_avx2(weights, words),
                        }
                    };
                    sums.copy_from_slice(&block);
                }
            }
        }
    }
}

/// Prepares whole groups of 32 columns by `arrange`, and what is left as
/// [`words::prepare`], which would give the same of all.
#[inline]
#[target_feature(enable = "avx2")]
fn in_groups<const WORDS: usize>(
    x: &[i32],
    quantizer: Quantizer,
    bits: Bits,
    words: &mut [u32],
    arrange: impl Fn(__m256i) -> [u32; WORDS],
) {
    let (groups, rest) = x.as_chunks();
    let (prepared, _) = words.as_chunks_mut();
    for (x, words) in groups.iter().zip(prepared) {
        *words = arrange(columns(x, quantizer));
    }
    let words = words.get_mut(groups.len() * WORDS..).unwrap_or_default();
    words::prepare(rest, quantizer, bits, words);
}

/// A group of columns in 8 bits, in their order.
#[inline]
#[target_feature(enable = "avx2")]
fn columns(x: &[i32; GROUP_COLS], quantizer: Quantizer) -> __m256i {
    let [left, inverse] = [quantizer.left as i32, quantizer.inverse].map(|n| _mm256_set1_epi32(n));
    let eight = |x: &[i32]| {
        let x = load8(bytemuck::cast_slice(x));
        let x = _mm256_srai_epi32::<16>(_mm256_sllv_epi32(x, left));
        let x = _mm256_add_epi32(_mm256_mullo_epi32(x, inverse), _mm256_set1_epi32(1 << 21));
        // Eight bits of the ten that are left.
        _mm256_srai_epi32::<24>(_mm256_slli_epi32::<2>(x))
    };
    // The first four of each eight columns are in the lower lane.
    let sixteen = |x: &[i32]| _mm256_packs_epi32(eight(x), eight(&x[8..]));
    let q = _mm256_packs_epi16(sixteen(x), sixteen(&x[16..]));
    _mm256_permutevar8x32_epi32(q, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
}

/// The sums of four columns each.
#[inline]
#[target_feature(enable = "avx2")]
fn fours(q: __m256i) -> __m256i {
    let twos = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
    _mm256_madd_epi16(twos, _mm256_set1_epi16(1))
}

/// int8: four columns and their sum in turn.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs(q: __m256i) -> [u32; 8 * STEP_WORDS] {
    let sums = fours(q);
    let (first, second) = (
        _mm256_unpacklo_epi32(q, sums),
        _mm256_unpackhi_epi32(q, sums),
    );
    let mut words = [0; 16];
    words[..8].copy_from_slice(&store8(_mm256_permute2x128_si256::<0x20>(first, second)));
    words[8..].copy_from_slice(&store8(_mm256_permute2x128_si256::<0x31>(first, second)));
    words
}

/// int4: even columns, odd ones, and the sum of all.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(q: __m256i) -> [u32; GROUP_WORDS] {
    let apart = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    let apart = _mm256_shuffle_epi8(q, _mm256_broadcastsi128_si256(apart));
    let mut words = [0; GROUP_WORDS];
    words[..8].copy_from_slice(&store8(_mm256_permute4x64_epi64::<0b11_01_10_00>(apart)));
    words[8] = store8(fours(q)).into_iter().fold(0, u32::wrapping_add);
    words
}

/// Words of a prepared int6 group.
#[cfg(feature = "int6")]
const SIX_WORDS: usize = 21;

/// Prepares a group of int6 columns as `dsp` does: a constant, then for each 16 columns ten
/// words of two lanes, eight columns each.
#[cfg(feature = "int6")]
fn six_bits(q: [i8; GROUP_COLS], words: &mut [u32; SIX_WORDS]) {
    let [constant, words @ ..] = words;
    let (halves, _) = q.as_chunks::<16>();
    let mut offset = 0;
    for (words, half) in words.chunks_exact_mut(10).zip(halves) {
        for (lane, places) in half.as_chunks::<8>().0.iter().zip([0, 16]) {
            let [a, b, c, d, e, f, g, h] = lane.map(i32::from);
            offset += b + d + f + g + h;
            let edges = [a, 64 * b - a, 16 * g - b, e, 64 * f - e, 16 * h - f];
            let middle = [c, 64 * h - c, 256 * d - c, 64 * g - d];
            for (word, factor) in words.iter_mut().zip(edges.into_iter().chain(middle)) {
                let others = if places == 0 { 0 } else { *word };
                *word = others | (factor as u32 & 0xffff) << places;
            }
        }
    }
    *constant = (-32768 * offset) as u32;
}

/// The algebra of `dsp`, a 32-bit lane for each row: `VPMADDWD` is its `SMLAD`.
#[cfg(feature = "int6")]
#[target_feature(enable = "avx2")]
fn int6_avx2(weights: &[u32], words: &[u32]) -> [i32; BLOCK_ROWS] {
    let edge_mask = _mm_set1_epi32(0x03FF_03FF);
    let part_mask = _mm_set1_epi32(0x03C0_03C0);
    let top_mask = _mm_set1_epi32(0x0300_0300);
    let byte_mask = _mm_set1_epi32(0x00FF_00FF);
    let mut total = _mm_setzero_si128();
    let groups = weights.chunks_exact(25).zip(words.chunks_exact(SIX_WORDS));
    for (weights, words) in groups {
        prefetch(weights);
        let mut sum = _mm_set1_epi32(words[0] as i32);
        let halves = weights.chunks_exact(12).zip(words[1..].chunks_exact(10));
        for (w, x) in halves {
            let product = |w, at: usize| _mm_madd_epi16(w, _mm_set1_epi32(x[at] as i32));
            for (edge, at) in [(0, 0), (4, 3)] {
                let edge = load4(&w[edge..]);
                let rest = _mm_and_si128(edge, edge_mask);
                let part = _mm_and_si128(_mm_slli_epi32::<6>(edge), part_mask);
                let two = _mm_add_epi32(product(edge, at), product(rest, at + 1));
                sum = _mm_add_epi32(sum, _mm_add_epi32(two, product(part, at + 2)));
            }
            let middle = load4(&w[8..]);
            let byte = _mm_and_si128(middle, byte_mask);
            let part = _mm_and_si128(_mm_slli_epi32::<8>(byte), part_mask);
            let top = _mm_and_si128(middle, top_mask);
            let two = _mm_add_epi32(product(middle, 6), product(top, 7));
            let others = _mm_add_epi32(product(byte, 8), product(part, 9));
            sum = _mm_add_epi32(sum, _mm_add_epi32(two, others));
        }
        let scales = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(weights[24] as i32));
        let sum = _mm_srai_epi32::<10>(sum);
        total = _mm_add_epi32(total, _mm_mullo_epi32(sum, scales));
    }
    rows(total)
}

/// The prefetch distance: about what memory delivers within its latency.
const PREFETCH_WORDS: usize = 1024;

/// Two 16-bit lanes.
fn halves(low: i8, high: i8) -> u32 {
    u32::from(i16::from(low) as u16) | u32::from(i16::from(high) as u16) << 16
}

/// The lanes of a vector of four rows.
fn rows(v: __m128i) -> [i32; BLOCK_ROWS] {
    let mut rows = [0i32; BLOCK_ROWS];
    // SAFETY: SSE2 is a part of x86-64; 16 bytes are written to an array of
    // 16 bytes, at any alignment.
    unsafe { _mm_storeu_si128(rows.as_mut_ptr().cast(), v) };
    rows
}

/// Four words of a slice that has them.
#[inline(always)]
fn load4(words: &[u32]) -> __m128i {
    let words: &[u32; 4] = words.first_chunk().unwrap_or(&[0; 4]);
    // SAFETY: reads the 16 bytes of an array of 16 bytes, at any alignment.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load8(words: &[u32]) -> __m256i {
    let words: &[u32; 8] = words.first_chunk().unwrap_or(&[0; 8]);
    // SAFETY: reads the 32 bytes of an array of 32 bytes, at any alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// The lanes of a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn store8(v: __m256i) -> [u32; 8] {
    let mut words = [0; 8];
    // SAFETY: writes 32 bytes to an array of 32 bytes, at any alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), v) };
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load16(words: &[u32]) -> __m512i {
    let words: &[u32; 16] = words.first_chunk().unwrap_or(&[0; 16]);
    // SAFETY: reads the 64 bytes of an array of 64 bytes, at any alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// Word `i` of a vector in every 32-bit lane of its 128-bit lane `i`.
#[inline]
#[target_feature(enable = "avx512f")]
fn spread(words: __m128i) -> __m512i {
    let each = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    _mm512_permutexvar_epi32(each, _mm512_castsi128_si512(words))
}

/// The sum of the four 128-bit lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold(v: __m512i) -> __m128i {
    let half = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v));
    _mm_add_epi32(
        _mm256_castsi256_si128(half),
        _mm256_extracti128_si256::<1>(half),
    )
}

/// A 512-bit vector has four steps of four rows; two sums take such vectors in
/// turn. `columns` is the sum of the vector: `sum w x = sum u x - 128 columns`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn int8_vnni(weights: &[u32], words: &[u32], columns: i32) -> [i32; BLOCK_ROWS] {
    // Bytes 1 and 3 of a word get the 128 that bytes 0 and 2 have.
    let flip = _mm512_set1_epi32(0x8000_8000u32 as i32);
    let pick = _mm512_set_epi32(6, 6, 6, 6, 4, 4, 4, 4, 2, 2, 2, 2, 0, 0, 0, 0);
    // Two sums, so that one need not wait for the other.
    let mut sums = [_mm512_setzero_si512(); 2];
    let whole = weights.chunks_exact(8 * BLOCK_ROWS);
    let whole_words = words.chunks_exact(8 * STEP_WORDS);
    let (rest, rest_words) = (whole.remainder(), whole_words.remainder());
    for (weights, words) in whole.zip(whole_words) {
        for (half, sum) in sums.iter_mut().enumerate() {
            let weights = &weights[half * 16..];
            prefetch(weights);
            let u = _mm512_xor_si512(load16(weights), flip);
            let x = _mm512_castsi256_si512(load8(&words[half * 8..]));
            *sum = _mm512_dpbusd_epi32(*sum, u, _mm512_permutexvar_epi32(pick, x));
        }
    }
    let mut sum = fold(_mm512_add_epi32(sums[0], sums[1]));
    let rest = rest.chunks_exact(BLOCK_ROWS);
    for (weights, words) in rest.zip(rest_words.chunks_exact(STEP_WORDS)) {
        let u = _mm_xor_si128(load4(weights), _mm512_castsi512_si128(flip));
        sum = _mm_dpbusd_epi32(sum, u, _mm_set1_epi32(words[0] as i32));
    }
    // A step of another model may meet any number.
    rows(_mm_sub_epi32(
        sum,
        _mm_set1_epi32(columns.wrapping_mul(128)),
    ))
}

/// A 128-bit vector is a step of four rows.
#[target_feature(enable = "avx2")]
fn int8_avx2(weights: &[u32], words: &[u32]) -> [i32; BLOCK_ROWS] {
    // Into two's complement.
    let flip = _mm_set1_epi32(0x0080_0080);
    let mut sum = _mm_setzero_si128();
    let steps = weights
        .chunks_exact(BLOCK_ROWS)
        .zip(words.chunks_exact(STEP_WORDS));
    for (weights, words) in steps {
        let w = _mm_xor_si128(load4(weights), flip);
        let even = _mm_srai_epi16::<8>(_mm_slli_epi16::<8>(w));
        let odd = _mm_srai_epi16::<8>(w);
        let even = _mm_madd_epi16(even, _mm_set1_epi32(words[0] as i32));
        let odd = _mm_madd_epi16(odd, _mm_set1_epi32(words[1] as i32));
        sum = _mm_add_epi32(sum, _mm_add_epi32(even, odd));
    }
    rows(sum)
}

/// Prefetches weights ahead: the processor's own prefetcher stops at every
/// page.
#[inline(always)]
fn prefetch(words: &[u32]) {
    // SAFETY: a prefetch reads nothing and cannot fault, wherever it points.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(words.as_ptr().wrapping_add(PREFETCH_WORDS).cast()) };
}

/// A 512-bit vector is a group of four rows, eight columns in each 128-bit lane.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn int4_vnni(weights: &[u32], words: &[u32]) -> [i32; BLOCK_ROWS] {
    // Nibbles 3 and 7 of a word get the 8 that the others have.
    let flip = _mm512_set1_epi32(0x8000_8000u32 as i32);
    let low = _mm512_set1_epi8(15);
    let mut total = _mm512_setzero_si512();
    let groups = weights
        .chunks_exact(STORED_WORDS)
        .zip(words.chunks_exact(GROUP_WORDS));
    for (weights, words) in groups {
        prefetch(weights);
        let u = _mm512_xor_si512(load16(weights), flip);
        let even = _mm512_and_si512(u, low);
        let odd = _mm512_and_si512(_mm512_srli_epi16::<4>(u), low);
        // The offset of the whole group goes into the lanes of one step.
        let offset = (words[8] as i32).wrapping_mul(-8);
        let sum = _mm512_maskz_set1_epi32(0x000f, offset);
        let sum = _mm512_dpbusd_epi32(sum, even, spread(load4(words)));
        let sum = _mm512_dpbusd_epi32(sum, odd, spread(load4(&words[4..])));
        let scales = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(weights[16] as i32));
        let scales = _mm512_broadcast_i32x4(scales);
        total = _mm512_add_epi32(total, _mm512_mullo_epi32(sum, scales));
    }
    rows(fold(total))
}

/// A 256-bit vector is half a group, 16 columns of four rows.
#[target_feature(enable = "avx2")]
fn int4_avx2(weights: &[u32], words: &[u32]) -> [i32; BLOCK_ROWS] {
    let flip = _mm256_set1_epi32(0x8000_8000u32 as i32);
    let low = _mm256_set1_epi8(15);
    let ones = _mm256_set1_epi16(1);
    let mut total = _mm_setzero_si128();
    let groups = weights
        .chunks_exact(STORED_WORDS)
        .zip(words.chunks_exact(GROUP_WORDS));
    for (weights, words) in groups {
        let mut sum = _mm256_setzero_si256();
        // Two steps in each of two vectors.
        for (step, weights) in [0, 2].into_iter().zip(weights.chunks_exact(8)) {
            let u = _mm256_xor_si256(load8(weights), flip);
            let x = |at: usize| {
                let (a, b) = (words[at + step] as i32, words[at + step + 1] as i32);
                _mm256_set_epi32(b, b, b, b, a, a, a, a)
            };
            let even = _mm256_maddubs_epi16(_mm256_and_si256(u, low), x(0));
            let odd = _mm256_and_si256(_mm256_srli_epi16::<4>(u), low);
            let odd = _mm256_maddubs_epi16(odd, x(4));
            // 4 * 15 * 127 fits in 16 bits.
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_add_epi16(even, odd), ones));
        }
        let sum = _mm_add_epi32(
            _mm256_castsi256_si128(sum),
            _mm256_extracti128_si256::<1>(sum),
        );
        let sum = _mm_sub_epi32(sum, _mm_set1_epi32((words[8] << 3) as i32));
        let scales = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(weights[16] as i32));
        total = _mm_add_epi32(total, _mm_mullo_epi32(sum, scales));
    }
    rows(total)
}
