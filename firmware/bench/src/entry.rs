//! The program's entry, and all that needs `unsafe` in it: one static.

use crate::room::Room;
use kinglet_machine::entry;

static mut ROOM: Room = Room::new();

/// The program's entry, after the start-up code.
#[entry]
fn enter() -> ! {
    kinglet_machine::start();
    let room = &raw mut ROOM;
    // SAFETY: the start-up code alone can call this function, once, and
    // nothing else names the static.
    crate::main(unsafe { &mut *room })
}
