//! Scalar functions. Their worst errors, over the ranges that the tests
//! below scan: `exp` 1.1 units in the last place, `rsqrt` 2.2e-7 relative,
//! `log2` 1.3 units in the last place.

use half::{bf16, f16};

/// Adding and subtracting 1.5 x 2^23 rounds to the nearest integer, ties to
/// even; the low bits of the sum are that integer in two's complement.
pub(crate) const ROUND_MAGIC: f32 = 12_582_912.0;

/// Where `exp` is clamped, so that the power of two stays a normal number.
pub(crate) const EXP_MIN: f32 = -87.0;
pub(crate) const EXP_MAX: f32 = 88.0;

/// The polynomial of `exp`: its published coefficients, the highest first, but
/// for the last two, which are 1.
pub(crate) const EXP_TERMS: [f32; 6] = [
    1.987_569_1e-4,
    1.398_199_9e-3,
    8.333_452e-3,
    4.166_579_6e-2,
    1.666_666_5e-1,
    0.5,
];

/// ln 2 in two parts; the first has few enough bits that `n * LN2_HIGH` is
/// exact for every exponent `n`.
const LN2_HIGH: f32 = 355.0 / 512.0;
pub(crate) const LN2_LOW: f32 = -2.121_944_4e-4;

/// The square root of 1/2.
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;

/// `e^x`, with `x` clamped to [-87, 88].
///
/// Range reduction to `|r| <= ln 2 / 2`, then the degree-5 minimax polynomial
/// of the Cephes library (its published coefficients).
///
/// With `n = round(x log2(e))` and `r = x - n ln 2`, `e^x = 2^n e^r` and
/// `e^r = 1 + r + r^2 p(r)`. `ln 2` is subtracted in two parts, of which the
/// product of the first with `n` is exact.
#[cfg_attr(not(kinglet_soft), inline)]
#[cfg_attr(kinglet_soft, cold, inline(never))]
pub fn exp(x: f32) -> f32 {
    let x = if x < EXP_MIN { EXP_MIN } else { x };
    let x = if x > EXP_MAX { EXP_MAX } else { x };
    let shifted = x * core::f32::consts::LOG2_E + ROUND_MAGIC;
    let n = shifted - ROUND_MAGIC;
    let r = x - n * LN2_HIGH;
    let r = r - n * LN2_LOW;
    let mut p = EXP_TERMS[0];
    p = p * r + EXP_TERMS[1];
    p = p * r + EXP_TERMS[2];
    p = p * r + EXP_TERMS[3];
    p = p * r + EXP_TERMS[4];
    p = p * r + EXP_TERMS[5];
    let y = p * (r * r) + r + 1.0;
    // y is in [0.7, 1.42] and n in [-126, 127]: the exponent cannot overflow.
    f32::from_bits(y.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// The base-2 logarithm of a positive normal number; -126, that of the smallest
/// one, for anything else.
///
/// With `x = 2^n m` and `m` in [sqrt(1/2), sqrt(2)), the series of
/// `2 artanh(s)`, `s = (m - 1) / (m + 1)`, up to `s^9`.
/// `|s|` is at most `3 - 2 sqrt(2)`, 0.172.
#[inline]
pub fn log2(x: f32) -> f32 {
    let x = if x > f32::MIN_POSITIVE {
        x
    } else {
        f32::MIN_POSITIVE
    };
    // The bits above those of sqrt(1/2) count its powers of two.
    let above = x.to_bits().wrapping_sub(SQRT_HALF_BITS) as i32;
    let n = above >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((n << 23) as u32));
    let s = (m - 1.0) / (m + 1.0);
    let t = s * s;
    let mut p = 1.0 / 9.0;
    p = p * t + 1.0 / 7.0;
    p = p * t + 1.0 / 5.0;
    p = p * t + 1.0 / 3.0;
    let ln = 2.0 * s + 2.0 * s * (t * p);
    ln * core::f32::consts::LOG2_E + n as f32
}

/// `1 / sqrt(x)` for `x > 0`: micromath's estimate (3 % off), refined by
/// three Newton steps, each of which squares the error. 1 for anything else.
/// A Newton step is `y (3/2 - x y^2 / 2)`.
#[inline]
pub fn rsqrt(x: f32) -> f32 {
    // The estimate overflows for a NaN with its sign bit set.
    let x = if x > 0.0 { x } else { 1.0 };
    let mut y = micromath::F32(x).invsqrt().0;
    for _ in 0..3 {
        y *= 1.5 - 0.5 * x * y * y;
    }
    y
}

/// The value of a finite half float. The packer writes no others.
/// Exact, for subnormal ones too.
#[inline(always)]
pub fn half_to_f32(value: f16) -> f32 {
    let bits = u32::from(value.to_bits());
    // Without an FPU a sum is cheaper than a product.
    let is_cheaper = cfg!(kinglet_soft) && bits & 0x7c00 != 0;
    let magnitude = if is_cheaper {
        normal_half(bits & 0x7fff)
    } else {
        any_half(bits & 0x7fff)
    };
    f32::from_bits(magnitude | (bits & 0x8000) << 16)
}

/// Moved into place, the exponent is 112 too small.
#[inline(always)]
fn normal_half(magnitude: u32) -> u32 {
    (magnitude << 13) + (112 << 23)
}

/// The same by a product, which is exact for subnormal halves and zero too.
#[inline(always)]
fn any_half(magnitude: u32) -> u32 {
    (f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23)).to_bits()
}

/// The value of a bfloat16 scale.
/// Exact: a bfloat16 is the upper half of a single float.
#[inline(always)]
pub fn scale_to_f32(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_its_stated_error() {
        let mut worst = 0.0f64;
        for i in 0..=2_000_000 {
            let x = -87.0 + i as f32 * (175.0 / 2_000_000.0);
            let exact = f64::from(x.min(88.0)).exp();
            let unit = exact * f64::from(f32::EPSILON);
            worst = worst.max(((f64::from(exp(x)) - exact) / unit).abs());
        }
        assert!(worst < 1.1, "{worst} units in the last place");
    }

    #[test]
    fn exp_is_clamped_at_both_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e30), exp(-87.0));
        assert_eq!(exp(f32::NEG_INFINITY), exp(-87.0));
        assert_eq!(exp(1e30), exp(88.0));
        assert!(exp(-87.0) > 0.0 && exp(88.0).is_finite());
    }

    #[test]
    fn log2_is_within_its_stated_error() {
        let mut worst = 0.0f64;
        for i in 0..2_000_000u32 {
            let x = f32::from_bits(0x0080_0000 + i * 1056);
            let exact = f64::from(x).log2();
            // A unit of 1, where the result is smaller.
            let unit = exact.abs().max(1.0) * f64::from(f32::EPSILON);
            worst = worst.max(((f64::from(log2(x)) - exact) / unit).abs());
        }
        assert!(worst < 1.3, "{worst} units in the last place");
    }

    #[test]
    fn log2_is_exact_for_powers_of_two_and_answers_everything() {
        for n in -126..=127 {
            let x = f32::from_bits(((n + 127) as u32) << 23);
            assert_eq!(log2(x), n as f32);
        }
        for x in [0.0, -1.0, 1e-40, f32::NAN, -f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(log2(x), -126.0);
        }
        assert_eq!(log2(f32::INFINITY), 128.0);
    }

    #[test]
    fn rsqrt_is_within_its_stated_error() {
        for i in 1..1_000_000u32 {
            let x = f32::from_bits(0x3000_0000 + i * 500);
            let exact = 1.0 / f64::from(x).sqrt();
            assert!(
                ((f64::from(rsqrt(x)) - exact) / exact).abs() < 2.2e-7,
                "rsqrt({x})"
            );
        }
    }

    #[test]
    fn rsqrt_answers_everything() {
        for x in [f32::NAN, -f32::NAN, -1.0, 0.0, -0.0, f32::NEG_INFINITY] {
            assert_eq!(rsqrt(x), rsqrt(1.0));
        }
        assert!((rsqrt(1.0) - 1.0).abs() < 2.2e-7);
        let _ = rsqrt(f32::INFINITY);
    }

    #[test]
    fn half_floats_convert_exactly() {
        for bits in 0..=u16::MAX {
            let value = f16::from_bits(bits);
            if value.is_finite() {
                assert_eq!(half_to_f32(value).to_bits(), value.to_f32().to_bits());
                let magnitude = u32::from(bits & 0x7fff);
                if magnitude >> 10 != 0 {
                    assert_eq!(normal_half(magnitude), any_half(magnitude));
                }
                let scale = bf16::from_bits(bits);
                assert_eq!(scale_to_f32(scale).to_bits(), scale.to_f32().to_bits());
            }
        }
    }
}
