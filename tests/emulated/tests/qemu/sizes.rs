//! The flash that the library takes in a firmware: bounds, and snapshots that
//! make every change a decision. Needs the compiler for the targets only.

use kinglet_emulated::json;
use serde_json::Value;

/// Core, bytes when this was last looked at, and what it may never exceed.
const SIZES: [(&str, u64, u64); 3] = [
    ("Cortex-M4F", 14_236, 14 * 1024),
    ("Cortex-M0", 15_528, 16 * 1024),
    ("RISC-V RV32IMAC", 20_040, 20 * 1024),
];

#[test]
fn the_library_is_as_small_as_promised() {
    let sizes = json("sizes --json");
    for (index, (core, expected, bound)) in SIZES.into_iter().enumerate() {
        let size = &sizes[index];
        assert_eq!(size["core"], core);
        let bytes = size["flash_bytes"].as_u64().unwrap();
        assert!(bytes <= bound, "{core}: {bytes} bytes, at most {bound}");
        assert!(
            bytes.abs_diff(expected) * 50 <= expected,
            "{core}: {bytes} bytes, it was {expected}: if that is meant, change SIZES"
        );
        // Nothing that a panic calls is linked: nothing reaches it.
        assert_eq!(size["panics"], Value::Array(Vec::new()), "{core}");
        let rooms = size["rooms"].as_object().expect("rooms");
        let sum: i64 = rooms.values().filter_map(Value::as_i64).sum();
        assert_eq!(sum as u64, bytes, "the rooms of {core} are all of it");
    }
}
