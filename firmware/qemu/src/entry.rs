//! The program's entry, and all that needs `unsafe` in it: two statics.
#![allow(unsafe_code)]

use crate::model::{SCRATCH_LEN, STATE_LEN};
use kinglet_machine::entry;

// All the RAM that the library takes, under names that `nm` shows. Both are
// empty where the image is not linked in.
#[export_name = "KINGLET_STATE"]
static mut MODEL_STATE: [i32; STATE_LEN] = [0; STATE_LEN];
#[export_name = "KINGLET_SCRATCH"]
static mut MODEL_SCRATCH: [i32; SCRATCH_LEN] = [0; SCRATCH_LEN];

/// The program's entry, after the start-up code.
#[entry]
fn enter() -> ! {
    kinglet_machine::start();
    let (state, scratch) = (&raw mut MODEL_STATE, &raw mut MODEL_SCRATCH);
    // SAFETY: the start-up code alone can call this function, once, and
    // nothing else names the two statics.
    let (state, scratch) = unsafe { (&mut *state, &mut *scratch) };
    crate::main(state, scratch)
}
