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
        (Some(bytes), bits) => group_row(bytes, bits.count().into(), scale, out),
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

/// A scale byte per group of columns, then weights of this many bits, the first in the
/// lowest ones, as two's complement. Of less than 2^28 each.
fn group_row(bytes: &[u8], bits: usize, (factor, places): (i32, u32), out: &mut [i32]) {
    let groups = out.len().div_ceil(GROUP_COLS);
    let (scales, weights) = bytes.split_at_checked(groups).unwrap_or((&[], &[]));
    let byte_at = |at: usize| weights.get(at).map_or(0, |&byte| i32::from(byte));
    for (col, out) in out.iter_mut().enumerate() {
        let scale = scales
            .get(col / GROUP_COLS)
            .map_or(0, |&scale| scale.into());
        let at = bits * col;
        let word = (byte_at(at / 8) | byte_at(at / 8 + 1) << 8) >> (at % 8);
        let weight = word << (32 - bits) >> (32 - bits);
        *out = (weight * (scale * factor)).wrapping_shr(places);
    }
}
