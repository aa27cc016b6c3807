//! Steps that have the logistic function in them, for ports that have them in assembly.

use crate::number::{ToFixed, SHARES, SHARE_OCTAVES, SHARE_STEPS};

// The routines have these numbers in their instructions.
const _: () = assert!(SHARE_OCTAVES == 12 && SHARE_STEPS == 8);

/// The routines of a port.
///
/// They are unsafe to call: all pointers are of the same number of elements, at least
/// one, and that of the table is to all steps of [`SHARES`].
pub struct Routines {
    /// Gates, `out`, how many, how gates become arguments, the table.
    pub shares: unsafe extern "C" fn(*const i32, *mut i32, usize, &Fixed, *const u32),
    /// `x`, gates, `y`, and the rest; the bits of all magnitudes.
    pub add_gated: unsafe extern "C" fn(*mut i32, *const i32, *const i32, &GatedCall) -> u32,
    /// The largest magnitude.
    pub average: unsafe extern "C" fn(&AverageCall) -> u32,
}

/// A port with such routines.
pub trait Gates {
    /// They keep to the C calling convention.
    const ROUTINES: Routines;
}

/// Defines the steps of [`Port`](crate::arch::Port) by the routines of `Self`.
macro_rules! gates_in_assembly {
    () => {
        fn shares(gate: &[i32], places: i32, out: &mut [i32]) {
            crate::arch::shared::gates::shares::<Self>(gate, places, out);
        }

        fn add_gated(x: &mut [i32], inputs: [&[i32]; 2], places: [i32; 2], right: u32) -> u32 {
            crate::arch::shared::gates::add_gated::<Self>(x, inputs, places, right)
        }

        fn average(
            state: [&mut [i32]; 2],
            fixed: [&[i32]; 2],
            inputs: [&[i32]; 2],
            places: [i32; 2],
            out: &mut [i32],
        ) -> u32 {
            crate::arch::shared::gates::average::<Self>(state, fixed, inputs, places, out)
        }
    };
}
pub(crate) use gates_in_assembly;

/// How gates become arguments: see [`ToFixed`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Fixed {
    /// To the left where it is positive.
    places: i32,
    /// Of the magnitude.
    limit: i32,
}

impl Fixed {
    fn by(places: i32) -> Self {
        Self {
            places: places.clamp(-31, 31),
            limit: ToFixed::limit_of(places),
        }
    }
}

/// As [`Port::shares`](crate::arch::Port::shares).
pub fn shares<G: Gates>(gate: &[i32], places: i32, out: &mut [i32]) {
    let len = gate.len().min(out.len());
    if len > 0 {
        let fixed = Fixed::by(places);
        // SAFETY: both slices are as long, and not empty; the table has all octaves.
        unsafe {
            (G::ROUTINES.shares)(gate.as_ptr(), out.as_mut_ptr(), len, &fixed, table());
        }
    }
}

/// As [`Port::add_gated`](crate::arch::Port::add_gated).
pub fn add_gated<G: Gates>(
    x: &mut [i32],
    [gate, y]: [&[i32]; 2],
    [of_gate, of_x]: [i32; 2],
    right: u32,
) -> u32 {
    let len = x.len().min(gate.len()).min(y.len());
    if len == 0 {
        return 0;
    }
    let call = GatedCall {
        len,
        fixed: Fixed::by(of_gate),
        of_x: of_x.clamp(-31, 31),
        of_y: -(right as i32),
        table: table(),
    };
    // SAFETY: all slices are as long, and not empty; the table has all octaves.
    unsafe { (G::ROUTINES.add_gated)(x.as_mut_ptr(), gate.as_ptr(), y.as_ptr(), &call) }
}

/// As [`Port::average`](crate::arch::Port::average).
pub fn average<G: Gates>(
    [average, weight]: [&mut [i32]; 2],
    [w, u]: [&[i32]; 2],
    [k, v]: [&[i32]; 2],
    [of_k, of_v]: [i32; 2],
    out: &mut [i32],
) -> u32 {
    let lens = [
        average.len(),
        weight.len(),
        w.len(),
        u.len(),
        k.len(),
        v.len(),
    ];
    let len = lens.iter().fold(out.len(), |least, &len| least.min(len));
    if len == 0 {
        return 0;
    }
    let Fixed { places, limit } = Fixed::by(of_k);
    let call = AverageCall {
        average: average.as_mut_ptr(),
        weight: weight.as_mut_ptr(),
        k: k.as_ptr(),
        v: v.as_ptr(),
        w: w.as_ptr(),
        u: u.as_ptr(),
        out: out.as_mut_ptr(),
        table: table(),
        of_k: places,
        of_v: of_v.clamp(-31, 31),
        limit,
        len,
    };
    // SAFETY: all slices are as long, and not empty; the table has all octaves.
    unsafe { (G::ROUTINES.average)(&call) }
}

/// The arguments of a gated sum.
#[repr(C)]
pub struct GatedCall {
    len: usize,
    fixed: Fixed,
    /// Places to the left.
    of_x: i32,
    of_y: i32,
    table: *const u32,
}

/// Those of an average.
#[repr(C)]
pub struct AverageCall {
    average: *mut i32,
    weight: *mut i32,
    k: *const i32,
    v: *const i32,
    w: *const i32,
    u: *const i32,
    out: *mut i32,
    table: *const u32,
    /// Places to the left.
    of_k: i32,
    of_v: i32,
    /// Of the magnitude of `k`.
    limit: i32,
    len: usize,
}

fn table() -> *const u32 {
    SHARES.as_ptr().cast()
}
