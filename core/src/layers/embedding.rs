//! Reading one row of the embedding table.

use crate::number::{magnitude, Residual};
use crate::shape::{Bits, Table, GROUP_COLS};

/// Writes row `row` of the table into `x` `[C]`. `ln0` is folded into the
/// rows by the packer.
pub(crate) fn read_row(table: &Table<'_>, row: usize, x: &mut Residual<'_>) {
    let row_bytes = crate::shape::table_row_bytes(table.bits, table.cols);
    let bytes = table
        .rows
        .get(row * row_bytes..)
        .and_then(|rest| rest.get(..row_bytes));
    let scale = table.scales.of_row(row);
    let out = x.m();
    match (bytes, table.bits) {
        (Some(bytes), Bits::Int8) => int8_row(bytes, scale.0, out),
        #[cfg(feature = "int6")]
        (Some(bytes), Bits::Int6) => int6_row(bytes, table.cols, scale, out),
        (Some(bytes), Bits::Int4) => int4_row(bytes, table.cols, scale, out),
        (None, _) => {}
    }
    let bits = out.iter().fold(0, |bits, &x| bits | magnitude(x));
    x.set(table.exp, bits);
}

/// Of less than 2^22 each.
fn int8_row(bytes: &[u8], scale: i32, out: &mut [i32]) {
    for (out, &byte) in out.iter_mut().zip(bytes) {
        *out = i32::from(byte as i8) * scale;
    }
}

/// A scale byte per group, then the nibbles, low one first, as two's
/// complement. Of less than 2^26 each.
fn int4_row(bytes: &[u8], cols: usize, (factor, places): (i32, u32), out: &mut [i32]) {
    let groups = cols.div_ceil(GROUP_COLS);
    let (scales, nibbles) = bytes.split_at_checked(groups).unwrap_or((&[], &[]));
    let groups = scales.iter().zip(nibbles.chunks_exact(GROUP_COLS / 2));
    for (out, (&group_scale, nibbles)) in out.chunks_mut(GROUP_COLS).zip(groups) {
        let scale = i32::from(group_scale) * factor;
        for (pair, &byte) in out.chunks_mut(2).zip(nibbles) {
            let weights = [(byte << 4) as i8 >> 4, byte as i8 >> 4];
            for (out, weight) in pair.iter_mut().zip(weights) {
                *out = (i32::from(weight) * scale).wrapping_shr(places);
            }
        }
    }
}

/// A scale byte per group, then four weights in three bytes, the first in the lowest
/// bits, as two's complement. Of less than 2^28 each.
#[cfg(feature = "int6")]
fn int6_row(bytes: &[u8], cols: usize, (factor, places): (i32, u32), out: &mut [i32]) {
    let groups = cols.div_ceil(GROUP_COLS);
    let (scales, weights) = bytes.split_at_checked(groups).unwrap_or((&[], &[]));
    let groups = scales.iter().zip(weights.chunks_exact(GROUP_COLS * 3 / 4));
    for (out, (&group_scale, weights)) in out.chunks_mut(GROUP_COLS).zip(groups) {
        let scale = i32::from(group_scale) * factor;
        for (out, &[a, b, c]) in out.chunks_mut(4).zip(weights.as_chunks::<3>().0) {
            let word = u32::from_le_bytes([a, b, c, 0]);
            for (out, left) in out.iter_mut().zip([26, 20, 14, 8]) {
                *out = (((word << left) as i32 >> 26) * scale).wrapping_shr(places);
            }
        }
    }
}
