//! Reading one row of the embedding table.

use crate::number::scale_to_f32;
use crate::shape::{Bits, Table, GROUP_COLS};

/// Writes row `row` of the table into `out` `[C]`. `ln0` is folded into the
/// rows by the packer.
pub(crate) fn read_row(table: &Table<'_>, row: usize, out: &mut [f32]) {
    let row_bytes = crate::shape::table_row_bytes(table.bits, table.cols);
    let bytes = table
        .rows
        .get(row * row_bytes..)
        .and_then(|rest| rest.get(..row_bytes));
    let scale = table.scales.get(row).map_or(0.0, |&s| scale_to_f32(s));
    match (bytes, table.bits) {
        (Some(bytes), Bits::Int8) => int8_row(bytes, scale, out),
        (Some(bytes), Bits::Int4) => int4_row(bytes, table.cols, scale, out),
        (None, _) => {}
    }
}

fn int8_row(bytes: &[u8], scale: f32, out: &mut [f32]) {
    for (out, &byte) in out.iter_mut().zip(bytes) {
        *out = f32::from(byte as i8) * scale;
    }
}

/// A scale byte per group, then the nibbles, low one first, as two's
/// complement.
fn int4_row(bytes: &[u8], cols: usize, scale: f32, out: &mut [f32]) {
    let groups = cols.div_ceil(GROUP_COLS);
    let (scales, nibbles) = bytes.split_at_checked(groups).unwrap_or((&[], &[]));
    let groups = scales.iter().zip(nibbles.chunks_exact(GROUP_COLS / 2));
    for (out, (&group_scale, nibbles)) in out.chunks_mut(GROUP_COLS).zip(groups) {
        for (pair, &byte) in out.chunks_mut(2).zip(nibbles) {
            let weights = [(byte << 4) as i8 >> 4, byte as i8 >> 4];
            for (out, weight) in pair.iter_mut().zip(weights) {
                *out = f32::from(i16::from(weight) * i16::from(group_scale)) * scale;
            }
        }
    }
}
