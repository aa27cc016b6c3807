//! Links the program; `kinglet-machine` chooses the machine.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Without it the linker may pad sections to pages that no flash has.
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
