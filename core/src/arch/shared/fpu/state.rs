//! Steps of matrix states for cores with a single-precision FPU: eight value
//! channels in registers, all key channels one after the other.
//!
//! `VMLA` rounds the product before it adds, as `portable` does;
//! `VFMA` would not. `VCVTB` and `VCVTT` round to the nearest half float,
//! ties to even.
//!
//! For each key channel a row's eight elements are loaded, used and stored once.
//! RWKV-5 and 6 take 3.8 instructions per element, RWKV-7, in two passes, 6.5;
//! half floats add about 2 and 3.

use crate::arch::{Bonus, Cell, Delta};
use core::arch::global_asm;
use half::f16;

/// Value channels of a round.
const LANES: usize = 8;

/// Key channels of a round.
const KEYS: usize = 2;

/// The rounds over key channels, and the value channels that rounds cover:
/// none where a slice is too short or a round would be left over.
fn rounds(state_len: usize, size: usize, keys: &[&[f32]], lanes: &[usize]) -> (usize, usize) {
    let fits = state_len >= size * size
        && keys.iter().all(|key| key.len() >= size)
        && lanes.iter().all(|&len| len >= size);
    if fits && size.is_multiple_of(KEYS) {
        (size / KEYS, size / LANES * LANES)
    } else {
        (0, 0)
    }
}

/// Eight value channels of a step: where everything is. The assembly loads
/// it with one instruction, so the order of fields is its order of registers.
#[repr(C)]
struct Tile<S> {
    /// The first of the eight channels in the first row.
    state: *mut S,
    /// Vectors `[N]` by key channel; what each is depends on the routine.
    keys: [*const f32; 3],
    /// Vectors by value channel, from the first of the eight on.
    lanes: [*mut f32; 2],
    /// Pairs of key channels, at least one.
    rounds: usize,
    /// From one row of the state to the next.
    row_bytes: usize,
}

/// [`Port::bonus`](crate::arch::Port::bonus) for the value channels that
/// rounds of eight cover: returns how many. `y` holds what `bonus_start` left.
pub fn bonus<S: Cell>(state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) -> usize {
    let size = head.v.len();
    let keys = [head.r, head.k, head.w];
    let (rounds, done) = rounds(state.len(), size, &keys, &[y.len()]);
    for lane in (0..done).step_by(LANES) {
        let tile = Tile {
            state: state.as_mut_ptr().wrapping_add(lane),
            keys: keys.map(<[f32]>::as_ptr),
            lanes: [
                head.v.as_ptr().wrapping_add(lane).cast_mut(),
                y.as_mut_ptr().wrapping_add(lane),
            ],
            rounds,
            row_bytes: size * size_of::<S>(),
        };
        // SAFETY: `rounds` has seen that state, keys and lanes are long
        // enough; the values are only read.
        unsafe { tile.run(kinglet_fpu_bonus_f32, kinglet_fpu_bonus_f16) };
    }
    done
}

/// `delta_read_from` for the same value channels.
pub fn delta_read<S: Cell>(state: &[S], head: &Delta<'_>, y: &mut [f32], sa: &mut [f32]) -> usize {
    let size = head.v.len();
    let keys = [head.read, head.wr, head.wr];
    let (rounds, done) = rounds(state.len(), size, &keys, &[y.len(), sa.len()]);
    for lane in (0..done).step_by(LANES) {
        let tile = Tile {
            state: state.as_ptr().wrapping_add(lane).cast_mut(),
            keys: keys.map(<[f32]>::as_ptr),
            lanes: [
                sa.as_mut_ptr().wrapping_add(lane),
                y.as_mut_ptr().wrapping_add(lane),
            ],
            rounds,
            row_bytes: size * size_of::<S>(),
        };
        // SAFETY: as above; the state is only read.
        unsafe { tile.run(kinglet_fpu_delta_read_f32, kinglet_fpu_delta_read_f16) };
    }
    done
}

/// `delta_write_from` for the same value channels.
pub fn delta_write<S: Cell>(state: &mut [S], head: &Delta<'_>, sa: &[f32]) -> usize {
    let size = head.v.len();
    let keys = [head.w, head.b, head.k];
    let (rounds, done) = rounds(state.len(), size, &keys, &[sa.len()]);
    for lane in (0..done).step_by(LANES) {
        let tile = Tile {
            state: state.as_mut_ptr().wrapping_add(lane),
            keys: keys.map(<[f32]>::as_ptr),
            lanes: [
                sa.as_ptr().wrapping_add(lane).cast_mut(),
                head.v.as_ptr().wrapping_add(lane).cast_mut(),
            ],
            rounds,
            row_bytes: size * size_of::<S>(),
        };
        // SAFETY: as above; the lanes are only read.
        unsafe { tile.run(kinglet_fpu_delta_write_f32, kinglet_fpu_delta_write_f16) };
    }
    done
}

/// Takes a tile through all key channels.
type Routine<S> = unsafe extern "C" fn(&Tile<S>);

impl<S: Cell> Tile<S> {
    /// Calls the routine for this format of the state.
    ///
    /// # Safety
    /// All that the routine reads and writes must be there.
    #[inline(always)]
    unsafe fn run(&self, single: Routine<f32>, half: Routine<f16>) {
        let tile: *const Self = self;
        // SAFETY: promised by the caller; a tile holds pointers and lengths,
        // so it is the same for both formats.
        unsafe {
            if S::IS_HALF {
                half(&*tile.cast());
            } else {
                single(&*tile.cast());
            }
        }
    }
}

extern "C" {
    fn kinglet_fpu_bonus_f32(tile: &Tile<f32>);
    fn kinglet_fpu_bonus_f16(tile: &Tile<f16>);
    fn kinglet_fpu_delta_read_f32(tile: &Tile<f32>);
    fn kinglet_fpu_delta_read_f16(tile: &Tile<f16>);
    fn kinglet_fpu_delta_write_f32(tile: &Tile<f32>);
    fn kinglet_fpu_delta_write_f16(tile: &Tile<f16>);
}

// r0 state  r1-r3 keys  r4, r5 lanes  r6 rounds left  r7 bytes of a row
// s0-s7 state  s8-s13 keys  s16-s23, s24-s31 lanes
global_asm!(
    r#"
    .syntax unified
    .fpu    fpv4-sp-d16
    .macro kinglet_fpu_load_f32
        vldmia  r0, {{s0-s7}}
    .endm
    .macro kinglet_fpu_store_f32
        vstmia  r0, {{s0-s7}}
    .endm
    // Two halves in each of s0-s3 become s0-s7: the last first, so that none
    // is overwritten before it is read.
    .macro kinglet_fpu_load_f16
        vldmia  r0, {{s0-s3}}
        vcvtt.f32.f16 s7, s3
        vcvtb.f32.f16 s6, s3
        vcvtt.f32.f16 s5, s2
        vcvtb.f32.f16 s4, s2
        vcvtt.f32.f16 s3, s1
        vcvtb.f32.f16 s2, s1
        vcvtt.f32.f16 s1, s0
        vcvtb.f32.f16 s0, s0
    .endm
    .macro kinglet_fpu_store_f16
        vcvtb.f16.f32 s0, s0
        vcvtt.f16.f32 s0, s1
        vcvtb.f16.f32 s1, s2
        vcvtt.f16.f32 s1, s3
        vcvtb.f16.f32 s2, s4
        vcvtt.f16.f32 s2, s5
        vcvtb.f16.f32 s3, s6
        vcvtt.f16.f32 s3, s7
        vstmia  r0, {{s0-s3}}
    .endm
    .macro kinglet_fpu_decay w
        vmul.f32 s0, s0, \w
        vmul.f32 s1, s1, \w
        vmul.f32 s2, s2, \w
        vmul.f32 s3, s3, \w
        vmul.f32 s4, s4, \w
        vmul.f32 s5, s5, \w
        vmul.f32 s6, s6, \w
        vmul.f32 s7, s7, \w
    .endm
    // The state takes key times lanes in s16-s23 or s24-s31.
    .macro kinglet_fpu_take_low k
        vmla.f32 s0, \k, s16
        vmla.f32 s1, \k, s17
        vmla.f32 s2, \k, s18
        vmla.f32 s3, \k, s19
        vmla.f32 s4, \k, s20
        vmla.f32 s5, \k, s21
        vmla.f32 s6, \k, s22
        vmla.f32 s7, \k, s23
    .endm
    .macro kinglet_fpu_take_high k
        vmla.f32 s0, \k, s24
        vmla.f32 s1, \k, s25
        vmla.f32 s2, \k, s26
        vmla.f32 s3, \k, s27
        vmla.f32 s4, \k, s28
        vmla.f32 s5, \k, s29
        vmla.f32 s6, \k, s30
        vmla.f32 s7, \k, s31
    .endm
    // Lanes in s16-s23 or s24-s31 take key times state.
    .macro kinglet_fpu_give_low k
        vmla.f32 s16, \k, s0
        vmla.f32 s17, \k, s1
        vmla.f32 s18, \k, s2
        vmla.f32 s19, \k, s3
        vmla.f32 s20, \k, s4
        vmla.f32 s21, \k, s5
        vmla.f32 s22, \k, s6
        vmla.f32 s23, \k, s7
    .endm
    .macro kinglet_fpu_give_high k
        vmla.f32 s24, \k, s0
        vmla.f32 s25, \k, s1
        vmla.f32 s26, \k, s2
        vmla.f32 s27, \k, s3
        vmla.f32 s28, \k, s4
        vmla.f32 s29, \k, s5
        vmla.f32 s30, \k, s6
        vmla.f32 s31, \k, s7
    .endm
    .macro kinglet_fpu_tile_begin name
        .section .text.\name,"ax",%progbits
        .balign 4
        .thumb
        .thumb_func
        .global \name
        .type \name,%function
\name:
        push    {{r4-r7, lr}}
        vpush   {{s16-s31}}
        ldm     r0, {{r0-r7}}
        vldmia  r4, {{s16-s23}}
        vldmia  r5, {{s24-s31}}
    .endm
    .macro kinglet_fpu_tile_end name
        vpop    {{s16-s31}}
        pop     {{r4-r7, pc}}
        .size \name, . - \name
    .endm

    // Lanes: v, y. Keys: r, k, w.
    .macro kinglet_fpu_bonus_key cell, r, k, w
        kinglet_fpu_load_\cell
        kinglet_fpu_give_high \r
        kinglet_fpu_decay \w
        kinglet_fpu_take_low \k
        kinglet_fpu_store_\cell
        adds    r0, r7
    .endm
    .macro kinglet_fpu_bonus cell
        kinglet_fpu_tile_begin kinglet_fpu_bonus_\cell
1:      vldmia  r1!, {{s8-s9}}
        vldmia  r2!, {{s10-s11}}
        vldmia  r3!, {{s12-s13}}
        kinglet_fpu_bonus_key \cell, s8, s10, s12
        kinglet_fpu_bonus_key \cell, s9, s11, s13
        subs    r6, #1
        bne     1b
        vstmia  r5, {{s24-s31}}
        kinglet_fpu_tile_end kinglet_fpu_bonus_\cell
    .endm

    // Lanes: sa, y. Keys: read, wr.
    .macro kinglet_fpu_delta_read_key cell, read, wr
        kinglet_fpu_load_\cell
        kinglet_fpu_give_low \read
        kinglet_fpu_give_high \wr
        adds    r0, r7
    .endm
    .macro kinglet_fpu_delta_read cell
        kinglet_fpu_tile_begin kinglet_fpu_delta_read_\cell
1:      vldmia  r1!, {{s8-s9}}
        vldmia  r2!, {{s10-s11}}
        kinglet_fpu_delta_read_key \cell, s8, s10
        kinglet_fpu_delta_read_key \cell, s9, s11
        subs    r6, #1
        bne     1b
        vstmia  r4, {{s16-s23}}
        vstmia  r5, {{s24-s31}}
        kinglet_fpu_tile_end kinglet_fpu_delta_read_\cell
    .endm

    // Lanes: sa, v. Keys: w, b, k.
    .macro kinglet_fpu_delta_write_key cell, w, b, k
        kinglet_fpu_load_\cell
        kinglet_fpu_decay \w
        kinglet_fpu_take_low \b
        kinglet_fpu_take_high \k
        kinglet_fpu_store_\cell
        adds    r0, r7
    .endm
    .macro kinglet_fpu_delta_write cell
        kinglet_fpu_tile_begin kinglet_fpu_delta_write_\cell
1:      vldmia  r1!, {{s8-s9}}
        vldmia  r2!, {{s10-s11}}
        vldmia  r3!, {{s12-s13}}
        kinglet_fpu_delta_write_key \cell, s8, s10, s12
        kinglet_fpu_delta_write_key \cell, s9, s11, s13
        subs    r6, #1
        bne     1b
        kinglet_fpu_tile_end kinglet_fpu_delta_write_\cell
    .endm

    kinglet_fpu_bonus f32
    kinglet_fpu_bonus f16
    kinglet_fpu_delta_read f32
    kinglet_fpu_delta_read f16
    kinglet_fpu_delta_write f32
    kinglet_fpu_delta_write f16
"#
);
