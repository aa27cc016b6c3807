//! Quantizing an activation vector for `SMLAD`.

use crate::arch::Quantizer;

/// Two lanes of a word.
#[inline(always)]
fn lanes(low: i32, high: i32) -> u32 {
    (low as u32 & 0xffff) | (high as u32) << 16
}

/// Quantizes up to `N` values, zeros after the last.
#[inline(always)]
fn quantized<const N: usize>(x: &[i32], quantizer: Quantizer) -> [i32; N] {
    let mut q = [0; N];
    for (q, &x) in q.iter_mut().zip(x) {
        *q = quantizer.of(x);
    }
    q
}

/// Prepares a span of int8 columns.
pub(super) fn span(x: &[i32], quantizer: Quantizer, words: &mut [u32]) {
    let Some((constant, steps)) = words.split_first_mut() else {
        return;
    };
    let mut even = 0;
    for (x, step) in x.chunks(4).zip(steps.chunks_exact_mut(2)) {
        let [x0, x1, x2, x3] = quantized(x, quantizer);
        step.copy_from_slice(&[lanes(x1, x3), lanes(256 * x0 - x1, 256 * x2 - x3)]);
        even += x0 + x2;
    }
    *constant = (-32768 * even) as u32;
}

/// Prepares a group of int4 columns.
pub(super) fn group(x: &[i32], quantizer: Quantizer, words: &mut [u32]) {
    let Some((constant, steps)) = words.split_first_mut() else {
        return;
    };
    steps.fill(0);
    let mut offset = 0;
    for (x, step) in x.chunks(8).zip(steps.chunks_exact_mut(4)) {
        let [a0, a1, a2, a3, b0, b1, b2, b3] = quantized(x, quantizer);
        step.copy_from_slice(&[
            lanes(a3, b3),
            lanes(16 * a0 - a1, 16 * b0 - b1),
            lanes(16 * a2 - a3, 16 * b2 - b3),
            lanes(256 * a1 - a3, 256 * b1 - b3),
        ]);
        offset += a0 + a1 + a2 + b0 + b1 + b2;
    }
    *constant = (-4096 * 8 * offset) as u32;
}
